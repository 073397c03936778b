"""``answers.npz``: the class that each test clip was given, behind the figures of a report.

::

    name, label                            (N,) test clips of all splits, and their labels
    split, features, measure, run          (R,) the runs behind the figures, named as in report.json, counted from 0
    of, clip, predicted, confidence        (A,) one answer each: number of its run, of its clip; class; probability

The confidence is NaN where a protocol has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import softmax

from ssl_skel.data.npz_members import DAMAGE, read_columns
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.evaluation.measures import FigureName
from ssl_skel.evaluation.metrics import score
from ssl_skel.evaluation.report import Measurement
from ssl_skel.files.atomic import replacing

ANSWERS = "answers.npz"
_LARGEST = 2**30  # bytes unpacked; 12 an answer, so tens of millions of them
_FORMS = {
    **dict.fromkeys(("name", "split", "features", "measure"), "U"),
    **dict.fromkeys(("label", "run", "of", "clip", "predicted"), "iu"),
    "confidence": "f",
}  # column -> kinds of its values
_TABLES = (("name", "label"), ("split", "features", "measure", "run"), ("of", "clip", "predicted", "confidence"))


class Guess(NamedTuple):
    """What one run answers: rows of its clips in the store (Q,), classes (Q,), and logits (Q, classes) or None."""

    rows: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of one run.

    Attributes:
        clips: (Q,) which clips: rows of the store before they are saved, and after that names.
        label: (Q,) their classes.
        predicted: (Q,) classes.
        confidence: (Q,) probability of that class, NaN without scores.
    """

    clips: np.ndarray
    label: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray


def measured(
    store: Store, figure: FigureName, guesses: Sequence[Guess], **others: Any
) -> tuple[Measurement, list[Answers]]:
    """Score what the runs behind a figure answered.

    Args:
        store: holds the clips.
        figure: which one it is.
        guesses: one per run.
        others: see ``Measurement.of``.

    Returns:
        The figure, and the ``Answers`` of its runs.
    """
    runs = [score(store.label[one.rows], one.predicted, store.num_classes, one.scores) for one in guesses]
    return Measurement.of(*figure, runs, **others), [
        Answers(one.rows, store.label[one.rows], one.predicted.astype(np.int32), _confidence(one)) for one in guesses
    ]


def _confidence(guess: Guess) -> np.ndarray:
    if guess.scores is None:
        return np.full(len(guess.rows), np.nan, np.float32)
    return softmax(guess.scores, axis=1).max(1).astype(np.float32)


def save_answers(folder: Path, store: Store, answers: Mapping[FigureName, Sequence[Answers]]) -> None:
    """Write ``answers.npz``.

    Args:
        folder: of the evaluation.
        store: whose rows the answers name.
        answers: of all runs of each figure.

    Raises:
        UserError: the system refuses to write.
    """
    runs = [(figure, number, one) for figure, ones in answers.items() for number, one in enumerate(ones)]
    rows = np.unique(np.concatenate([one.clips for *_, one in runs] or [np.zeros(0, int)]))
    figures = np.array([figure for figure, *_ in runs], str).reshape(-1, 3)
    columns = {
        "name": store.name[rows],
        "label": store.label[rows],
        **dict(zip(FigureName._fields, figures.T, strict=True)),
        "run": np.array([number for _, number, _ in runs], np.int32),
        "of": np.repeat(np.arange(len(runs), dtype=np.int32), [len(one.clips) for *_, one in runs]),
        "clip": _joined([np.searchsorted(rows, one.clips).astype(np.int32) for *_, one in runs], np.int32),
        "predicted": _joined([one.predicted for *_, one in runs], np.int32),
        "confidence": _joined([one.confidence for *_, one in runs], np.float32),
    }
    with replacing(folder / ANSWERS) as file:
        np.savez_compressed(file, **columns)


def load_answers(folder: Path, figure: FigureName) -> list[Answers] | None:
    """What the runs behind a figure answered, in the order of the report; None where an evaluation kept no answers.

    Raises:
        UserError: the file is damaged.
    """
    file = folder / ANSWERS
    if not file.is_file():
        return None
    try:
        columns = read_columns(file, _FORMS, _LARGEST)
    except (*DAMAGE, UserError) as error:
        raise _damaged(file) from error
    if any(columns[name].ndim != 1 or columns[name].dtype.kind not in kinds for name, kinds in _FORMS.items()):
        raise _damaged(file)
    sizes = [{len(columns[name]) for name in table} for table in _TABLES]
    if any(len(size) > 1 for size in sizes):
        raise _damaged(file)
    for name, (size,) in (("of", sizes[1]), ("clip", sizes[0])):
        if columns[name].size and not 0 <= columns[name].min() <= columns[name].max() < size:
            raise _damaged(file)
    wanted = np.all([columns[field] == value for field, value in figure._asdict().items()], axis=0)
    found = []
    for number in np.flatnonzero(wanted):
        at = np.flatnonzero(columns["of"] == number)
        clip = columns["clip"][at]
        found.append(
            Answers(columns["name"][clip], columns["label"][clip], columns["predicted"][at], columns["confidence"][at])
        )
    return found


def _joined(parts: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *parts])


def _damaged(file: Path) -> UserError:
    return UserError(f"{file}: is damaged; repeat the evaluation by its command, or remove the file")
