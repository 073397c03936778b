"""Evaluation as one call: ``ssl_skel.finetune`` and ``predict``, and what the commands do."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.config import FinetuneConfig
from ssl_skel.config import load_config

if TYPE_CHECKING:
    from ssl_skel.evaluation.predictions import Predictions
    from ssl_skel.evaluation.report import Report


def finetune(config: Path | str | FinetuneConfig, *overrides: str) -> Report:
    """Evaluate encoders; see ``ssl_skel.verbs``."""
    if isinstance(config, FinetuneConfig):
        resolved, command = config, ""
    else:
        resolved = load_config(FinetuneConfig, config, overrides)
        command = shlex.join(["ssl-skel", "finetune", str(config), *overrides])
    from finetune.run import run  # needs torch

    return run(resolved, command)


def predict(
    run: Path, source: Path, *, format: str = "", training: str = "", videos: Path | None = None
) -> Predictions:
    """Classify recordings; see ``finetune.predict.predict``."""
    from finetune.predict import predict as answer  # needs torch

    return answer(run, source, format=format, training=training, videos=videos)
