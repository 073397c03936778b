"""Which trainings of an evaluation a user means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finetune.classifiers.names import HEAD_CARD
from finetune.trainings.index import TRAININGS, load_trainings
from finetune.trainings.predictions import PREDICTIONS
from ssl_skel.encoders.card import CARD
from ssl_skel.errors import UserError
from ssl_skel.evaluation.measures import FigureName


def choose_trainings(run: Path, wanted: str = "") -> list[Path]:
    """Folders of trainings that differ in seed or encoder alone.

    Args:
        run: an evaluation, or the folder of one training.
        wanted: beginning of the names of the trainings, where the evaluation has several kinds.

    Raises:
        UserError: no training, none of that name, or several kinds of them.
    """
    if (run / HEAD_CARD).exists() or (run / PREDICTIONS).exists():
        return [run]
    if not run.exists():
        make = f"ssl-skel train-classifier STORE -o {run}"
        raise UserError(f"{run}: no classifier there; make one: {make}")
    if (run / CARD).exists() or (run / "encoder").is_dir():
        make = f"ssl-skel train-classifier STORE -o FOLDER --encoder {run}"
        raise UserError(f"{run}: holds an encoder, which knows no classes; train a classifier on it: {make}")
    figures: dict[FigureName, set[str]] = {}
    known = load_trainings(run)
    for one in known:
        if one.folder.startswith(wanted):
            figures.setdefault(one.figure, set()).add(one.folder)
    kinds = sorted({tuple(sorted(folders)) for folders in figures.values()})
    if not kinds:
        raise UserError(f"{run}: no training begins with {wanted!r}; there are {_some([one.folder for one in known])}")
    if len(kinds) > 1:
        first = _some([kind[0] for kind in kinds])
        raise UserError(f"{run}: has {len(kinds)} kinds of trainings ({first}); choose by --training, as they begin")
    return [run / TRAININGS / name for name in kinds[0]]


def _some(names: Sequence[str], most: int = 4) -> str:
    """Names in a line, the first few where there are many."""
    known = sorted(set(names))
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")
