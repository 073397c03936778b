"""The config of a run of a very small network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pretrain.config import PretrainConfig
from ssl_skel.config import parse_config


def config(store: Path, runs: Path, **changes: Any) -> PretrainConfig:
    """Two epochs of a very small network; a change is written ``data__split="xsub"``."""
    data: dict[str, Any] = {
        "name": "tiny",
        "data": {"store": str(store), "split": "unseen", "num_frames": 16},
        "augment": [{"name": "rotate"}],
        "backbone": {"name": "mpae_net", "channels": [16], "strides": [4]},
        "pretext": {"name": "skeleton_mae", "decoder_dim": 16},
        "train": {"epochs": 2, "batch_size": 12, "eval_every": 1, "device": "cpu", "progress": False},
        "runs": str(runs),
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        at = data
        for step in parents:
            at = at[step]
        at[last] = value
    return parse_config(PretrainConfig, data, "test")
