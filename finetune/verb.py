"""Evaluation as one call: ``ssl_skel.finetune`` and ``predict``, and what the commands do.

What can be checked without torch is checked before it is imported, so that a mistake is reported at once.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.classifiers.names import DEFAULT_ENCODER, KEEP
from finetune.config import FinetuneConfig
from finetune.folder import refuse_another
from finetune.trainings.choice import choose_trainings
from ssl_skel.cli.inputs import check_source
from ssl_skel.config import load_config
from ssl_skel.data.derived_splits import fold_names
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import load_card
from ssl_skel.errors import UserError
from ssl_skel.files.taken import refuse_taken_folder

if TYPE_CHECKING:
    from ssl_skel.evaluation.estimate import Estimate
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
    for name in config.encoders or (config.scratch.splits if config.scratch else ()):
        for split in fold_names(store, name):
            load_split(store, split)
    for path in dict.fromkeys(path for paths in config.encoders.values() for path in paths):
        load_card(path)
    refuse_another(config.runs / config.name, config)


def predict(run: Path, source: Path, *, training: str = "", **options: Any) -> Predictions:
    """Classify recordings; see ``finetune.predict.predict``."""
    check_source(source)
    choose_trainings(run, training)
    from finetune.predict import predict as answer  # needs torch

    return answer(run, source, training=training, **options)


def train_classifier(
    store: Path,
    output: Path,
    encoder: Path = Path(DEFAULT_ENCODER),
    *,
    keep: float = KEEP,
    overwrite: bool = False,
    **options: Any,
) -> Estimate:
    """Train a classifier on everything labelled in a store; see ``finetune.train_classifier.train_classifier``."""
    if not 0 < keep <= 1:
        raise UserError(f"keep: {keep:g}: is the share of right answers to keep; give more than 0, at most 1")
    refuse_taken_folder(output, overwrite, "classifier", [store])
    Store.open(store)
    load_card(encoder)
    from finetune.train_classifier import train_classifier as train  # needs torch

    return train(store, output, encoder, keep=keep, overwrite=overwrite, **options)
