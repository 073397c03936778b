"""An evaluation by two processes gives the figures of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from finetune.config import FinetuneConfig
from finetune.protocols.base import EvalContext
from finetune.protocols.configs.linear import LinearConfig
from finetune.protocols.configs.trained import FullConfig
from finetune.protocols.linear import Linear
from finetune.protocols.trained import Full
from finetune.run import run
from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.config import parse_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import save_encoder
from ssl_skel.errors import UserError
from ssl_skel.evaluation.report import Report
from ssl_skel.training.accelerator import make_accelerator
from ssl_skel.training.config import TrainConfig

ROOT = Path(__file__).parents[2]
# Adam's first steps make much of a rounding error, SGD's do not.
SHORT: dict[str, Any] = {"epochs": 2, "batch_size": 8, "eval_every": 1, "optim": {"name": "sgd", "lr": 0.02}}
PROTOCOLS = [
    {"name": "knn", "ks": [1]},
    {"name": "linear", "mode": "both", "c": 0.1, "epochs": 4, "batch_size": 16, "augmented_views": 1},
    {"name": "fewshot", "draws": 2},
    {"name": "propagate", "fractions": [0.5], "draws": 2},
    {"name": "full"} | SHORT,
    {"name": "semi", "fractions": [0.5]} | SHORT,
    {"name": "psp", "fractions": [0.5], "unlabelled": 12, "pretext": {"name": "psp", "norm": "layer"}} | SHORT,
]


def made(norm: str, store: Store) -> Any:
    torch.manual_seed(3)
    config = MPAENetConfig(channels=(8,), strides=(4,), heads=2, norm=norm)
    return build_encoder(config, store.layout, channels=store.channels, num_frames=8, stream="joint")


@contextmanager
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def logs(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What trainings and probes logged, by the names of their folders."""
    return {
        path.parent.name: [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted(folder.glob("*/*/log.jsonl"))
    }


def test_two_processes_measure_what_one_measures(motions: Path, tmp_path: Path) -> None:
    """Also: no clip counts twice, subsets are the same on each, the learning rate does not follow their number."""
    store, encoder = Store.open(motions), made("layer", Store.open(motions))
    save_encoder(tmp_path / "encoder", encoder, EncoderCard.of(encoder, normalization=store.normalization))
    config = {
        "data": {"store": str(motions)},
        "encoders": {"xsub": str(tmp_path / "encoder")},
        "protocols": PROTOCOLS,
        "baselines": ["raw"],
        "device": "cpu",
        "runs": str(tmp_path),
    }
    (tmp_path / "two.yaml").write_text(json.dumps(config | {"name": "two"}))
    launcher = [sys.executable, "-W", "error", "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    done = subprocess.run(
        [*launcher, "-m", "finetune", str(tmp_path / "two.yaml")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("written:") == 1
    with one_thread():  # as each rank has: sums in another order differ in the last bits, and the fit enlarges that
        one = run(parse_config(FinetuneConfig, config | {"name": "one"}, "test"))
    two = Report.load(tmp_path / "two")

    tested = len(load_split(store, "xsub").test)
    for ours, theirs in zip(one.measurements, two.measurements, strict=True):
        assert (ours.features, ours.measure, ours.notes) == (theirs.features, theirs.measure, theirs.notes)
        for figure, value in ours.figures.items():
            near = 1e-3 if figure == "ece" else 1e-6  # calibration reads probabilities, the others ranks
            assert theirs.figures[figure].mean == pytest.approx(value.mean, abs=near), (ours.measure, figure)
        for alone, shared in zip(ours.runs, theirs.runs, strict=True):
            assert shared.confusion == alone.confusion, ours.measure
            assert np.sum(shared.confusion) == tested
    assert len({m.measure for m in one.measurements}) == 8
    mine, yours = logs(tmp_path / "one"), logs(tmp_path / "two")
    assert mine.keys() == yours.keys()  # fingerprints, hence clips and subsets, are the same
    for name, records in mine.items():
        for ours, theirs in zip(records, yours[name], strict=True):
            assert theirs["lr"] == ours["lr"]
            assert theirs["step"] == ours["step"]
            assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-4)


def test_what_processes_cannot_share_is_refused_ahead_of_all_work(motions: Path, tmp_path: Path) -> None:
    store = Store.open(motions)
    split = load_split(store, "xview")
    context = EvalContext(store, (split,), (0,), make_accelerator(TrainConfig(device="cpu")), "auto", tmp_path)
    two = replace(context, accelerator=SimpleNamespace(num_processes=2, process_index=0, device=torch.device("cpu")))

    def full(context: EvalContext, **options: Any) -> Full:
        return Full(parse_config(FullConfig, options, "test"), context)

    with pytest.raises(UserError, match=r"full: the network has BatchNorm.*use one, or norm: layer there"):
        full(two).check(split, made("batch", store))
    full(context).check(split, made("batch", store))
    full(two).check(split, made("layer", store))
    with pytest.raises(UserError, match="49 clips cannot be cut"):
        full(two, batch_size=49).check(split, made("layer", store))
    live = parse_config(LinearConfig, {"mode": "trained", "batch_size": 15}, "test")
    with pytest.raises(UserError, match="15 clips cannot be cut"):
        Linear(live, two).check(split, made("layer", store))
    Linear(live.model_copy(update={"mode": "cached"}), two).check(split, made("layer", store))
