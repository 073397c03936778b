"""The verbs as functions: ``ssl_skel.pretrain``, ``finetune``, ``train_classifier`` and ``predict``.

``ssl_skel`` holds nouns and imports no verb. A verb is found as the command line finds it, by an entry point of its
package: group ``ssl_skel.verbs``.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl_skel.config import Section
    from ssl_skel.evaluation.estimate import Estimate
    from ssl_skel.evaluation.predictions import Predictions
    from ssl_skel.evaluation.report import Report


def pretrain(config: Path | str | Section, *overrides: str, resume: str = "") -> Path:
    """Train an encoder without labels.

    Args:
        config: YAML file, name of a shipped config (``ssl-skel configs``), or the config itself.
        overrides: ``key.path=value`` words, as on the command line: ``"train.epochs=10"``, ``"resume=auto"``.
        resume: ``auto`` continues a stopped run; "" refuses a run directory that exists.

    Returns:
        The run directory.

    Raises:
        UserError: the config does not fit the store, itself, or the run being continued.
    """
    return _verb("pretrain")(config, *overrides, resume=resume)


def finetune(config: Path | str | Section, *overrides: str) -> Report:
    """Evaluate encoders with labels, against raw coordinates and untrained weights.

    Args:
        config: YAML file, name of a shipped config (``ssl-skel configs``), or the config itself.
        overrides: ``key.path=value`` words, as on the command line: ``"encoders.xview=runs/mine"``.

    Returns:
        The report, which is also written to the evaluation's run directory.

    Raises:
        UserError: config, store, encoders or splits do not fit.
    """
    return _verb("finetune")(config, *overrides)


def predict(run: Path | str, source: Path | str, **options: Any) -> Predictions:
    """Classify recordings with a trained classifier.

    Args:
        run: classifier of ``train_classifier``, evaluation with ``save: true``, or the folder of one training.
        source: raw recording, a folder of them, or a store.
        options: those of ``finetune.predict.predict``: format, options, training, videos,
            min_confidence, skip_bad.

    Raises:
        UserError: no such training, no classifier kept, or a source that does not fit.
    """
    return _verb("predict")(Path(run), Path(source), **options)


def train_classifier(store: Path | str, output: Path | str, **options: Any) -> Estimate:
    """Train a classifier on all labelled clips of a store, for ``predict``.

    Args:
        store: folder of the clips.
        output: folder to make.
        options: those of ``finetune.train_classifier.train_classifier``: encoder (default: ``box/tcn``), pooling,
            keep, batch_size, device, overwrite.

    Returns:
        The expected accuracy on people it was not trained on.

    Raises:
        UserError: encoder and store do not fit, or fewer than two classes have clips.
    """
    return _verb("train_classifier")(Path(store), Path(output), **options)


def _verb(name: str) -> Any:
    return entry_points(group="ssl_skel.verbs")[name].load()
