"""Pretraining as one call: ``ssl_skel.pretrain``, and what the command does."""

from __future__ import annotations

from pathlib import Path

from pretrain.check import check
from pretrain.config import PretrainConfig
from ssl_skel.config import load_config


def pretrain(config: Path | str | PretrainConfig, *overrides: str, resume: str = "") -> Path:
    """Pretrain an encoder; see ``ssl_skel.verbs``."""
    resolved = config if isinstance(config, PretrainConfig) else load_config(PretrainConfig, config, overrides)
    check(resolved, resume)
    from pretrain.run import run  # needs torch

    return run(resolved, resume)
