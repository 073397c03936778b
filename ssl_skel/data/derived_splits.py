"""Splits derived from the clips of any store, as far as they allow, so that your own stores can be evaluated.

::

    by_subject              every second subject tests, the others train
    leave_one_subject_out   one fold per subject, leave_one_subject_out_fold1 and so on: it tests, the others train
    by_camera               the last camera tests, the others train
    random                  a fifth of each class tests; random_seed1, random_seed2, … draw others

They follow from the clips alone, on every machine. No recording is on both sides (see ``same_recording``): ``random``
draws whole recordings, and the others leave out test clips whose recording also trains. Clips whose subject or camera
is unknown are on neither side. A split recorded in the store takes precedence over one of these with the same name.
"""

from __future__ import annotations

import hashlib
import re

import numpy as np

from ssl_skel.data.same_recording import recording_groups
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError

FOLDS = "leave_one_subject_out"
_COLUMN = {"by_subject": "subject", FOLDS: "subject", "by_camera": "camera"}
_FOLD = re.compile(rf"{FOLDS}_fold([1-9][0-9]{{0,5}})")
_RANDOM = re.compile(r"random(?:_seed([0-9]{1,9}))?")
_TESTED = 0.2  # of each class


def offered(store: Store) -> dict[str, str]:
    """Split -> why the store has none; "" where it has one. Those whose name is recorded in the store are left out."""
    reasons = {name: _missing(store, column) for name, column in _COLUMN.items()}
    named = np.unique(store.recording[store.recording >= 0]).size + int((store.recording < 0).sum())
    several = min(np.unique(store.content).size, named) > 1
    reasons["random"] = "" if several else "all clips are from one recording"
    return {name: reason for name, reason in reasons.items() if name not in store.splits}


def is_derived(name: str) -> bool:
    """Whether a name is that of a derived split, or of all folds together."""
    return name in _COLUMN or bool(_FOLD.fullmatch(name) or _RANDOM.fullmatch(name))


def fold_names(store: Store, name: str) -> tuple[str, ...]:
    """The splits that a name stands for: all folds for ``leave_one_subject_out``, else the name alone."""
    if name != FOLDS or name in store.splits or _missing(store, "subject"):
        return (name,)
    return tuple(f"{FOLDS}_fold{number}" for number in range(1, len(_known(store, "subject")) + 1))


def derive(store: Store, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,) that train and that test, ascending.

    Args:
        store: the clips.
        name: for which ``is_derived`` holds.

    Raises:
        UserError: the clips allow no such split, or the name stands for several folds.
    """
    drawn = _RANDOM.fullmatch(name)
    if drawn:
        return _random(store, name, int(drawn[1] or 0))
    fold = _FOLD.fullmatch(name)
    column = "subject" if fold else _COLUMN[name]
    reason = _missing(store, column)
    if reason:
        raise UserError(f"{store.path}: split {name!r} cannot be made: {reason}")
    values = _known(store, column)
    if name == FOLDS:
        raise UserError(f"{store.path}: split {name!r} is {len(values)} folds; name one, {name}_fold1 and so on")
    if fold and int(fold[1]) > len(values):
        raise UserError(f"{store.path}: split {name!r}: there are {len(values)} subjects, so folds 1 to {len(values)}")
    tested = values[int(fold[1]) - 1 :][:1] if fold else values[-1:] if column == "camera" else values[1::2]
    own = getattr(store, column)
    train, test = np.flatnonzero(np.isin(own, np.setdiff1d(values, tested))), np.flatnonzero(np.isin(own, tested))
    groups = recording_groups(store)
    test = test[~np.isin(groups[test], groups[train])]
    if not test.size:
        raise UserError(f"{store.path}: split {name!r} cannot be made: all its test clips' recordings train too")
    return train, test


def _missing(store: Store, column: str) -> str:
    """Why clips cannot be split by a column; "" where they can."""
    values = _known(store, column)
    if not values.size:
        return f"no clip's {column} is known; give {column}s when you convert (names, labels or a column)"
    return f"all clips are of one {column}, {store.called(column, int(values[0]))}" if values.size == 1 else ""


def _known(store: Store, column: str) -> np.ndarray:
    values: np.ndarray = getattr(store, column)
    return np.unique(values[values >= 0])


def _random(store: Store, name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A fifth of each class, in whole recordings, drawn by a hash of their clips' names and the seed."""
    groups = recording_groups(store)
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    classes: dict[int, list[np.ndarray]] = {}
    for rows in members:
        label = int(np.bincount(store.label[rows] + 1).argmax()) - 1  # of most of its clips
        classes.setdefault(label, []).append(rows)
    tested = [rows for label in sorted(classes) for rows in _drawn(store, classes[label], seed)]
    if not tested:
        raise UserError(f"{store.path}: split {name!r} cannot be made: no class has clips of two recordings")
    test = np.sort(np.concatenate(tested))
    return np.setdiff1d(np.arange(len(store)), test), test


def _drawn(store: Store, recordings: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """Recordings of one class that test: about a fifth of its clips, one at least, never all."""
    if len(recordings) < 2:
        return []

    def key(rows: np.ndarray) -> bytes:
        first = min(store.name[rows].tolist())
        return hashlib.blake2b(f"{seed}\n{first}".encode("utf-8", "surrogatepass"), digest_size=8).digest()

    shuffled = sorted(recordings, key=key)
    room = max(1, round(_TESTED * sum(map(len, recordings))))
    chosen: list[np.ndarray] = []
    for rows in shuffled:
        if len(rows) <= room:
            chosen.append(rows)
            room -= len(rows)
    return chosen or [min(shuffled, key=len)]
