"""Evaluation as one call: ``ssl_skel.finetune`` and ``predict``, and what the commands do.

What can be checked without torch is checked before it is imported, so that a mistake is told at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.config import FinetuneConfig
from finetune.folder import refuse_another
from finetune.trainings.choice import choose_trainings
from ssl_skel.cli.inputs import check_source
from ssl_skel.config import load_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import load_card

if TYPE_CHECKING:
    from ssl_skel.evaluation.predictions import Predictions
    from ssl_skel.evaluation.report import Report


def finetune(config: Path | str | FinetuneConfig, *overrides: str, command: str = "") -> Report:
    """Evaluate encoders; see ``ssl_skel.verbs``."""
    resolved = load_config(FinetuneConfig, config, overrides)
    if not isinstance(config, FinetuneConfig):
        command = shlex.join(["ssl-skel", "finetune", str(config), *overrides])
    check(resolved)
    from finetune.run import run  # needs torch

    return run(resolved, command)


def check(config: FinetuneConfig) -> None:
    """Refuse a config whose store, splits or encoders are missing, or whose folder holds another evaluation.

    Raises:
        UserError: the first mistake.
    """
    store = Store.open(config.data.store)
    for split in config.encoders or (config.scratch.splits if config.scratch else ()):
        load_split(store, split)
    for path in dict.fromkeys(path for paths in config.encoders.values() for path in paths):
        load_card(path)
    refuse_another(config.runs / config.name, config)


def predict(
    run: Path,
    source: Path,
    *,
    format: str = "",
    options: Sequence[str] = (),
    training: str = "",
    videos: Path | None = None,
) -> Predictions:
    """Classify recordings; see ``finetune.predict.predict``."""
    check_source(source)
    choose_trainings(run, training)
    from finetune.predict import predict as answer  # needs torch

    return answer(run, source, format=format, options=options, training=training, videos=videos)
