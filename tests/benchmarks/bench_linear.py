"""The linear probe on cached features beside the live one, which passes every training clip in each of 100 epochs.

pytest tests/benchmarks/bench_linear.py -o python_files='bench_*.py' --benchmark-only

All from an encoder with untrained weights to figures, in turn, on the small store of built-in motions. Reported in
``extra_info``: seconds of the cached probe, of the cached one with four augmented copies of each clip, and of the live
one; how many times faster the cached ones are (aim: 20); accuracies in per cent, means of the splits xsub and xview,
of 52 test clips each. With so few clips the live probe's augmentation counts for much; on NW-UCLA with a pretrained
encoder both probes agree (``configs/finetune/linear_nw_ucla.yaml``).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from finetune.config import FinetuneConfig
from finetune.run import run
from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.config import parse_config
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import save_encoder

SPLITS = ("xsub", "xview")
PROBES: dict[str, dict[str, Any]] = {"cached": {}, "copies": {"copies": 4}, "live": {"mode": "live"}}


@pytest.fixture(scope="module")
def folder(motions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder, and a place for runs."""
    folder, store = tmp_path_factory.mktemp("linear"), Store.open(motions)
    torch.manual_seed(0)
    net = MPAENetConfig(size="small")
    encoder = build_encoder(net, store.layout, channels=store.channels, num_frames=16, stream="joint")
    save_encoder(folder / "encoder", encoder, EncoderCard.of(encoder, normalization=store.normalization))
    return folder


def probe(folder: Path, store: Path, options: dict[str, Any]) -> tuple[float, float]:
    """Seconds of a whole evaluation, features included, and the mean accuracy of the splits."""
    data = {
        "name": f"probe_{time.monotonic_ns()}",
        "data": {"store": str(store)},
        "encoders": dict.fromkeys(SPLITS, str(folder / "encoder")),
        "protocols": [{"name": "linear", "batch_size": 52} | options],
        "baselines": [],
        "device": "cpu",
        "runs": str(folder / "runs"),
    }
    config = parse_config(FinetuneConfig, data, "bench")
    start = time.perf_counter()
    report = run(config)
    seconds = time.perf_counter() - start
    return seconds, float(np.mean([row.figures["accuracy"].mean for row in report.measurements]))


def test_cached_and_live(benchmark: BenchmarkFixture, motions: Path, folder: Path) -> None:
    found: dict[str, tuple[float, float]] = {}

    def each() -> None:
        found.update({name: probe(folder, motions, options) for name, options in PROBES.items()})

    benchmark.pedantic(each, rounds=1)
    live = found["live"][0]
    for name, (seconds, accuracy) in found.items():
        told = {"seconds": round(seconds, 2), "accuracy": round(100 * accuracy, 1), "faster": round(live / seconds, 1)}
        benchmark.extra_info[name] = told
    assert live > 20 * found["cached"][0]
