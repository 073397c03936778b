"""One folder with everything that the project writes: a store, a run, evaluations, indexes, configs; all very small."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from finetune.config import FinetuneConfig
from finetune.run import run as finetune
from pretrain.config import PretrainConfig
from pretrain.run import run as pretrain
from ssl_skel.config import parse_config
from ssl_skel.data.clip import RawClip, content_hash
from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.subsets import Budget, label_subset
from ssl_skel.data.writer import StoreWriter
from ssl_skel.layouts import LAYOUTS
from ssl_skel.retrieval.build import build_index

CLIPS, FRAMES, CLASSES, SUBJECTS = 48, 8, 3, 4
HAS_LANCE = find_spec("lancedb") is not None
NETWORK = {"name": "mpae_net", "channels": [8], "strides": [4], "heads": 2, "norm": "layer"}
SPLIT = {"train": {"subject": [0, 1]}, "test": {"subject": [2, 3]}}
PRETRAIN: dict[str, Any] = {
    "name": "run",
    "data": {"store": "store", "split": "half", "num_frames": 8},
    "augment": [{"name": "rotate"}],
    "backbone": NETWORK,
    "pretext": {"name": "skeleton_mae", "decoder_dim": 8, "decoder_depth": 1},
    "train": {
        "epochs": 2,
        "batch_size": 12,
        "eval_every": 0,
        "checkpoint_every": 1,
        "device": "cpu",
        "progress": False,
    },
    "runs": ".",
}
TRAINED = {"name": "full", "epochs": 1, "batch_size": 12, "eval_every": 1, "augment": [], "save": True}
FINETUNE: dict[str, Any] = {
    "name": "measured",
    "data": {"store": "store"},
    "encoders": {"half": "run"},
    "protocols": [{"name": "linear", "save": True}, TRAINED | {"optim": {"warmup_epochs": 0}}],
    "baselines": [],
    "device": "cpu",
    "runs": ".",
}


def write_store(path: Path) -> Store:
    """Three classes that differ in how far joints swing."""
    rng = np.random.default_rng(0)
    names = tuple(f"swing {n}" for n in range(CLASSES))
    layout = LAYOUTS["ntu25"]
    with StoreWriter(
        path, layout, names, splits={"half": SPLIT}, normalization=NormalizeConfig(centre="first")
    ) as writer:
        body = rng.normal(size=(1, 1, layout.num_joints, 3))
        for n in range(CLIPS):
            swing = (1 + n % CLASSES) * rng.normal(size=(1, FRAMES, 1, 3)).cumsum(1)
            joints = (body + 0.1 * swing + 0.01 * rng.normal(size=body.shape)).astype(np.float32)
            clip = RawClip(f"clip_{n:02}", joints, label=n % CLASSES, subject=n % SUBJECTS, camera=n % 2)
            writer.add(clip, content_hash(joints))
    return Store.open(path)


def write_configs(folder: Path) -> None:
    for name, config in (("pretrain", PRETRAIN), ("finetune", FINETUNE)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")


def write_all(folder: Path) -> None:
    """Fill an empty folder; paths in it are relative to the folder, which must be the current one."""
    store = write_store(folder / "store")
    write_configs(folder)
    label_subset(store, load_split(store, "half"), Budget(per_class=2), 0)
    pretrain(parse_config(PretrainConfig, PRETRAIN, "pretrain.yaml"))
    shutil.rmtree(folder / "run" / "tensorboard")
    finetune(parse_config(FinetuneConfig, FINETUNE, "finetune.yaml"))
    for kind in ("flat", "ivf", "hnsw"):
        build_index(Path("run"), Path("store"), Path(kind), kind=kind)
    if HAS_LANCE:  # by another process: what is forked from this one must find no threads of LanceDB
        words = ["-m", "ssl_skel", "merge-index", "flat", "-o", "table", "--kind", "lance"]
        subprocess.run([sys.executable, *words], check=True, capture_output=True)


def write_parts() -> None:
    """A conversion of four files in two parts, ``part`` and ``other_part``."""
    Path("shared").mkdir()
    for at in range(4):
        np.save(Path("shared", f"clip_{at}.npy"), np.random.default_rng(at).normal(size=(5, 15, 3)).astype(np.float32))
    for number, name in ((1, "part"), (2, "other_part")):
        shard = {"layout": "sbu15", "shard": (number, 2), "progress": False}
        convert("npy", Path("shared"), Path(name), normalize=NormalizeConfig(), **shard)
