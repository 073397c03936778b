"""A very small run, trained in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pretrain.config import PretrainConfig
from pretrain.run import run
from ssl_skel.config import parse_config

Train = Callable[..., Path]


@pytest.fixture(scope="session")
def train(motions: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Two epochs, looked at after the second; a change is written ``data__stream="bone"``."""

    def train(**changes: Any) -> Path:
        data: dict[str, Any] = {
            "name": "tiny",
            "data": {"store": str(motions), "split": "unseen", "num_frames": 16},
            "backbone": {"name": "mpae_net", "channels": [16, 16], "strides": [1, 2], "patch": 2, "heads": 2},
            "pretext": {"name": "skeleton_mae", "decoder_dim": 16, "unit": 2},
            "train": {"epochs": 2, "batch_size": 24, "eval_every": 2, "device": "cpu", "progress": False},
            "runs": str(tmp_path_factory.mktemp("runs")),
        }
        for path, value in changes.items():
            *parents, last = path.split("__")
            at = data
            for step in parents:
                at = at[step]
            at[last] = value
        return run(parse_config(PretrainConfig, data, "test"))

    return train


@pytest.fixture(scope="session")
def done(train: Train) -> Path:
    """A run on the training clips of ``unseen``."""
    return train()
