"""Pretraining as one call: ``ssl_skel.pretrain``, and what the command does.

What can be checked without torch is checked before it is imported, so that a mistake is reported at once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pretrain.config import PretrainConfig
from ssl_skel.config import load_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import load_card
from ssl_skel.training.rundir import RunDir


def pretrain(config: Path | str | PretrainConfig, *overrides: str, resume: str = "") -> Path:
    """Pretrain an encoder; see ``ssl_skel.verbs``."""
    words, word = split_resume(overrides)
    resume = word or resume
    resolved = load_config(PretrainConfig, config, words)
    check(resolved, resume)
    from pretrain.run import run  # needs torch

    return run(resolved, resume)


def split_resume(words: Sequence[str]) -> tuple[list[str], str]:
    """Overrides without ``resume=...``, and its value; "" if it is missing.

    >>> split_resume(["train.epochs=9", "resume=auto"])
    (['train.epochs=9'], 'auto')
    """
    resume = [word.removeprefix("resume=") for word in words if word.startswith("resume=")]
    return [word for word in words if not word.startswith("resume=")], resume[-1] if resume else ""


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
