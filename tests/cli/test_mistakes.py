"""A mistake is told before anything heavy is imported: one line, exit code 2, and no torch to wait for.

Each mistake is made in a process forked from one that has imported the command line alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml

from ssl_skel.backbones.mpae_net import MPAENetConfig
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import save_encoder
from ssl_skel.retrieval.build import build_index

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that can fork")

HEAVY = ("torch", "sklearn", "faiss", "scipy", "matplotlib", "accelerate", "timm", "tensorboard")
PROGRAM = f"""
import contextlib, io, json, os, sys
import ssl_skel.config  # light, and common to all
from ssl_skel.cli.app import main

for words in json.load(sys.stdin):
    if not os.fork():
        sys.argv, out, err, code = ["ssl-skel", *words], io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as end:
                code = end.code
        heavy = [name for name in {HEAVY} if name in sys.modules]
        print(json.dumps([code, out.getvalue(), err.getvalue(), heavy]), flush=True)
        os._exit(0)
    os.wait()
"""

PRETRAIN: dict[str, Any] = {
    "name": "new",
    "data": {"store": "store", "split": "xsub", "num_frames": 16},
    "backbone": {"name": "mpae_net"},
    "pretext": {"name": "skeleton_mae"},
    "train": {"epochs": 1, "batch_size": 16},
}
FINETUNE: dict[str, Any] = {
    "name": "new",
    "data": {"store": "store"},
    "encoders": {"xsub": "run"},
    "protocols": [{"name": "knn"}],
}


class Case(NamedTuple):
    """A command line, and words of the line that answers it."""

    line: str
    told: str


CASES = (
    Case("pretrain none.yaml", "none.yaml: cannot be read"),
    Case("pretrain pretrain.yaml train.epoch=3", "train.epoch: unknown key; did you mean 'epochs'?"),
    Case("pretrain pretrain.yaml train.epochs=many", "train.epochs"),
    Case("pretrain pretrain.yaml backbone.name=mpae", "'mpae'; did you mean 'mpae_net'?"),
    Case("pretrain pretrain.yaml pretext.mask_rate=0.3", "pretext.mask_rate: unknown key"),
    Case("pretrain pretrain.yaml augment=[{name:rotat}]", "augment"),
    Case("pretrain pretrain.yaml optim.lr=fast", "optim.lr"),
    Case("pretrain pretrain.yaml data.store=none", "error: none"),
    Case("pretrain pretrain.yaml data.split=xsubb", "'xsubb'"),
    Case("pretrain pretrain.yaml runs=. name=run", "run: exists already"),
    Case("pretrain pretrain.yaml resume=yes", "resume: unknown 'yes'"),
    Case("pretrain pretrain.yaml init_from=none", "error: none"),
    Case("finetune none.yaml", "none.yaml: cannot be read"),
    Case("finetune finetune.yaml seed=3", "seed: unknown key; did you mean 'seeds'?"),
    Case("finetune finetune.yaml seeds=[a]", "seeds"),
    Case("finetune finetune.yaml protocols.0.name=nn", "'nn'; did you mean 'knn'?"),
    Case("finetune finetune.yaml protocols.0.k=3", "unknown key"),
    Case("finetune finetune.yaml data.store=none", "error: none"),
    Case("finetune finetune.yaml encoders.xsub=none", "error: none"),
    Case("finetune finetune.yaml runs=. name=measured", "measured: holds another run"),
    Case("pretrain finetune.yaml", "protocols: this is a config for ssl-skel finetune; run ssl-skel finetune fin"),
    Case("finetune pretrain.yaml", "pretext: this is a config for ssl-skel pretrain; run ssl-skel pretrain pre"),
    Case("pretrain pretrain.yaml --train.epochs 3", "keys of a config are written without dashes: train.epochs=3"),
    Case("sweep pretrain.yaml --optim.lr=1,2", "written without dashes: optim.lr=1,2"),
    Case("predict run recording.npz", "holds an encoder, which knows no classes; train a classifier on it: ssl-skel"),
    Case("embed runs/demo store -o new.npz", "train it first: ssl-skel pretrain demo/pretrain"),
    Case("embed runs/mpae_net_mae_nw_ucla_xsub store -o new.npz", "name=mpae_net_mae_nw_ucla_xsub data.split=xsub"),
    Case("info stores/demo", "no store there; make it with ssl-skel synthetic stores/demo --overwrite"),
    Case("audit stores/nw_ucla_oriented", "make it with ssl-skel convert nw-ucla DATA/nw_ucla/all_sqe stores/nw"),
    Case("embed begun store -o new.npz", "finish it: ssl-skel pretrain begun/config.yaml resume=auto"),
    Case("train-classifier none -o new", "error: none"),
    Case("train-classifier store -o store", "store: exists already"),
    Case("train-classifier store -o new --encoder box/mpae", "'mpae'; did you mean 'mpae_net'?"),
    Case("train-classifier store -o new --keep 2", "keep: 2"),
    Case("fuse none other -o fused", "error: none"),
    Case("fuse measured measured -o ../fused", "--output"),
    Case("fuse measured measured -o fused --weights a,b", "--weights"),
    Case(
        "predict none recording.npz",
        "error: none: no classifier there; make one: ssl-skel train-classifier STORE -o none",
    ),
    Case("predict measured none.npz", "none.npz"),
    Case("embed none store -o new.npz", "error: none"),
    Case("embed run none -o new.npz", "error: none"),
    Case("embed run store -o new.txt", "new.txt"),
    Case("embed run store -o recording.npz", "recording.npz: exists"),
    Case("export none --to onnx -o new.onnx", "error: none"),
    Case("export run -o new.onnx", "Missing option '--to'. Choose from: onnx, torch-export; see ssl-skel export"),
    Case("export run --to onnx -o new.pt2", "new.pt2"),
    Case("export run --to onnx -o taken.onnx", "taken.onnx: exists"),
    Case("index none store -o new", "error: none"),
    Case("index run none -o new", "error: none"),
    Case("index run store -o index", "index: exists already"),
    Case("index run store -o new --shard 2", "--shard 2"),
    Case("merge-index none -o new", "error: none"),
    Case("merge-index index -o store", "store: exists already"),
    Case("search none walk", "error: none"),
    Case("search index walk --within 3", "--within 3"),
    Case("search index walk --page taken.html", "taken.html: exists already"),
    Case("search index walk", "walk"),
    Case("search index recording.npz --label walc", "'walc'"),
    Case("evaluate-retrieval none --split xsub", "error: none"),
    Case("view none", "error: none"),
    Case("view store -o taken.html", "taken.html: exists already"),
    Case("view store --reconstructions", "need a run"),
    Case("convert ntv raw new", "'ntv'"),
    Case("convert npz none.npz new --layout ntu25", "none.npz"),
    Case("convert npz recording.npz store --layout ntu25", "store: exists already"),
    Case("convert npz recording.npz new --layout ntu25 --centre hip", "centre"),
    Case("convert npz recording.npz new --layout ntu25 minscore=1", "minscore"),
    Case("convert npz recording.npz new --layout ntu24", "ntu24"),
    Case("synthetic new subject=2", "subject: unknown key; did you mean 'subjects'?"),
    Case("synthetic store subjects=2", "store: exists already"),
    Case("info none", "error: none"),
    Case("split none --per-class 1", "error: none"),
    Case("split store --split xsubb --per-class 1", "'xsubb'"),
    Case("split store --fractions a", "'a'"),
    Case("audit none", "error: none"),
    Case("audit store jumps=3", "jumps: unknown key"),
    Case("merge none store -o new", "error: none"),
    Case("merge store store -o store", "store"),
    Case("report none", "error: none"),
    Case("report measured --format word", "Invalid value for '--format': 'word' is not one of 'markdown', 'csv'"),
    Case("runs none", "error: none"),
    Case("runs . --where stat=finished", "stat: no run has that key; did you mean 'state'?"),
    Case("sweep none.yaml", "none.yaml"),
    Case("sweep pretrain.yaml optim.lrs=1,2", "optim.lrs: unknown key"),
    Case("layouts ntu24", "ntu24"),
    Case("backbones mpae", "mpae"),
    Case("schema bake", "bake"),
)


@pytest.fixture(scope="session")
def desk(motions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, a run, an evaluation, an index, configs and files that are taken."""
    desk = tmp_path_factory.mktemp("desk")
    shutil.copytree(motions, desk / "store")
    store = Store.open(desk / "store")
    torch.manual_seed(0)
    network = MPAENetConfig(channels=(8,), strides=(2,), heads=2, norm="layer")
    encoder = build_encoder(network, store.layout, channels=3, num_frames=16, stream="joint")
    save_encoder(desk / "run/encoder", encoder, EncoderCard.of(encoder, normalization=store.normalization))
    build_index(desk / "run", desk / "store", desk / "index")
    for path, config in (("pretrain.yaml", PRETRAIN), ("run/config.yaml", PRETRAIN), ("finetune.yaml", FINETUNE)):
        (desk / path).write_text(yaml.safe_dump(config), "utf-8")
    (desk / "begun").mkdir()
    (desk / "begun/config.yaml").write_text(yaml.safe_dump(PRETRAIN), "utf-8")
    (desk / "measured").mkdir()
    (desk / "measured/config.yaml").write_text(yaml.safe_dump(FINETUNE | {"seeds": [7]}), "utf-8")
    (desk / "measured/report.json").write_text("{}", "utf-8")
    np.savez(desk / "recording.npz", joints=np.zeros((1, 8, 25, 3), np.float32))
    for name in ("taken.html", "taken.onnx"):
        (desk / name).write_text("mine", "utf-8")
    return desk


@pytest.fixture(scope="session")
def answers(desk: Path) -> dict[str, tuple[int, str, str, list[str]]]:
    """Command line -> exit code, stdout, stderr and heavy modules."""
    given = json.dumps([case.line.split() for case in CASES])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=desk, input=given, capture_output=True, text=True, check=True
    )
    return {case.line: json.loads(line) for case, line in zip(CASES, done.stdout.splitlines(), strict=True)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.line)
def test_it_is_one_line_without_anything_heavy(answers: dict[str, Any], case: Case) -> None:
    code, out, err, heavy = answers[case.line]
    assert (code, heavy, err, out) == (2, [], err, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert case.told in err


def test_nothing_was_written(answers: dict[str, Any], desk: Path) -> None:
    assert answers
    found = {path.name for path in desk.iterdir()} - {".runs.json"}  # what the list of runs knows
    assert found == {
        *("store", "run", "begun", "index", "measured", "pretrain.yaml", "finetune.yaml"),
        *("recording.npz", "taken.html", "taken.onnx"),
    }
