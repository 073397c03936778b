"""Pretraining as one call: ``ssl_skel.pretrain``, and what the command does.

What can be checked without torch is checked before it is imported, so that a mistake is told at once.
"""

from __future__ import annotations

import os
from pathlib import Path

from pretrain.config import PretrainConfig
from ssl_skel.config import load_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import load_card
from ssl_skel.training.rundir import RunDir


def pretrain(config: Path | str | PretrainConfig, *overrides: str, resume: str = "") -> Path:
    """Pretrain an encoder; see ``ssl_skel.verbs``."""
    resolved = config if isinstance(config, PretrainConfig) else load_config(PretrainConfig, config, overrides)
    check(resolved, resume)
    from pretrain.run import run  # needs torch

    return run(resolved, resume)


def check(config: PretrainConfig, resume: str = "") -> None:
    """Refuse a config whose store, split or initial weights are missing, or whose run directory is taken.

    Args:
        config: everything about the run.
        resume: as for ``pretrain.run.run``.

    Raises:
        UserError: the first mistake.
    """
    load_split(Store.open(config.data.store), config.data.split)
    if config.init_from:
        load_card(config.init_from)
    # Under torchrun the first rank may have made the folder already when another looks.
    RunDir.check(config.runs / config.name, resume, rank=int(os.environ.get("RANK", 0)))
