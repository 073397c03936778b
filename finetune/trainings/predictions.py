"""``predictions.npz``: a classifier's predictions for clips that it was not trained on.

::

    name, logits                         of the test clips; (Q, classes) float32, of the epoch reported
    epoch, by_epoch                      that epoch; (epochs evaluated, Q) classes after each
    validation_name, validation_logits   of the clips that the epoch was chosen by

A cached probe writes the first line alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.data.npz_members import DAMAGE, member_names, read_columns
from ssl_skel.errors import UserError
from ssl_skel.files.atomic import replacing

PREDICTIONS = "predictions.npz"
FORMER = {"by_epoch": "watched", "validation_name": "held_name", "validation_logits": "held_logits"}
"""Array -> what release 0.1 called it."""
_NAMES, _LOGITS = ("U", 1), ("f", 2)
_FORMS = {
    "name": _NAMES,
    "logits": _LOGITS,
    "epoch": ("iu", 0),
    "by_epoch": ("iu", 2),
    "validation_name": _NAMES,
    "validation_logits": _LOGITS,
}  # array -> kinds of its numbers, dimensions


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a training produced.

    Attributes:
        folder: name of the training's folder.
        rows: (Q,) int64 rows of the store, ascending.
        logits: (Q, classes) float32, of the epoch reported.
        epoch: that epoch, counted from 1.
        by_epoch: (epochs evaluated, Q) int64 classes.
    """

    folder: str
    rows: np.ndarray
    logits: np.ndarray
    epoch: int
    by_epoch: np.ndarray

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits, and classes by epoch, of some of the rows in their order."""
        at = np.searchsorted(self.rows, rows)
        return self.logits[at], self.by_epoch[:, at]


def save_predictions(folder: Path, **arrays: Any) -> None:
    """Write ``predictions.npz`` of a training; its contents are described at the top of this file."""
    with replacing(folder / PREDICTIONS) as file:
        np.savez(file, **arrays)


def load_outcome(folder: Path, rows: np.ndarray) -> Outcome:
    """Read what a training produced.

    Args:
        folder: of the training.
        rows: of the store, of its test clips.

    Raises:
        UserError: as ``load_array``, or they are of other clips.
    """
    logits, epoch, by_epoch = (load_array(folder, name) for name in ("logits", "epoch", "by_epoch"))
    if len(logits) != len(rows) or by_epoch.shape[1] != len(rows):
        raise _damaged(folder)
    return Outcome(folder.name, rows, logits, int(epoch), by_epoch.astype(np.int64))


def load_array(folder: Path, name: str) -> np.ndarray:
    """One array of a training's predictions.

    Raises:
        UserError: the file or the array is missing, or the file is damaged.
    """
    file = folder / PREDICTIONS
    try:
        there, most = member_names(file), file.stat().st_size  # it is not compressed
        held = name if name in there else FORMER.get(name, name)
        if held not in there:
            raise UserError(f"{file}: has no {name}; remove {folder} and repeat the evaluation")
        values = read_columns(file, [held], most=most, remedy="repeat the evaluation")[held]
    except OSError as error:
        raise UserError(f"{file}: {error.strerror or 'is damaged'}; repeat the evaluation by its command") from error
    except DAMAGE as error:
        raise _damaged(folder) from error
    kinds, dimensions = _FORMS[name]
    if values.ndim != dimensions or (values.size and values.dtype.kind not in kinds):
        raise _damaged(folder)
    return values


def load_logits(folder: Path, kind: str, names: np.ndarray) -> np.ndarray:
    """(len(names), classes) of a training, in the order of the names; kind is "" for test clips or ``validation_``.

    Raises:
        UserError: as ``load_array``, or a clip has no prediction there.
    """
    known = {name: at for at, name in enumerate(load_array(folder, f"{kind}name").tolist())}
    logits = load_array(folder, f"{kind}logits")
    if len(logits) != len(known):
        raise _damaged(folder)
    lacking = [name for name in names.tolist() if name not in known]
    if lacking:
        raise UserError(f"{folder}: has no prediction for clip {lacking[0]!r}; repeat the evaluation")
    return logits[[known[name] for name in names.tolist()]]


def _damaged(folder: Path) -> UserError:
    return UserError(f"{folder / PREDICTIONS}: is damaged; remove {folder} and repeat the evaluation")
