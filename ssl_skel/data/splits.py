"""Splits: which clips train and which test, as data in the store.

A split is defined by predicates over the clips' columns; a clip belongs to a side if all of its predicates hold::

    xview:
      train: {camera: [1, 2]}
      test: {camera: [3]}

Columns are subject, camera, setup, replication, recording, label and name. Values are numbers, or names where the
store has some (of classes too). A split may name clips that belong to neither
side, ``exclude: [clip, clip]``; ``ssl-skel audit`` proposes some. Every split has a deduplicated variant, named with
``_dedup`` at its end, without the test clips whose recording, coordinate for coordinate, is also a training clip. The
former ending, ``_clean``, is read for one release. ``all`` trains on everything. Splits that are not recorded in a
store but follow from its clips, such as ``by_subject`` and ``random``, are in ``derived_splits``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssl_skel.config import FormerName
from ssl_skel.data.derived_splits import derive, is_derived, offered
from ssl_skel.data.exclusions import check_exclusions
from ssl_skel.data.split_form import DEDUP, FORMER_DEDUP, check_splits, split_without_suffix
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.names import unknown


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a store.

    Attributes:
        name: of the split.
        train, test: int64 rows, ascending, disjoint.
    """

    name: str
    train: np.ndarray
    test: np.ndarray


def load_split(store: Store, name: str) -> Split:
    """The rows of a split.

    Args:
        store: holds the clips and the recorded splits.
        name: of the split, recorded or derived, with ``_dedup`` for the variant without duplicates; or ``all``.

    Raises:
        UserError: no such split, one that the clips do not allow, a name that cannot become a path, an empty side, a
            clip on both sides, or excluded names that are not clips.
    """
    if name == "all":
        rows = np.arange(len(store))
        return Split(name, rows, rows[:0])
    base = name if name in store.splits or is_derived(name) else split_without_suffix(name)
    if base in store.splits:
        train, test = _told(store, base)
    elif is_derived(base):
        train, test = derive(store, base)
    else:
        made = [split for split, reason in offered(store).items() if not reason]
        known = ["all", *store.splits, *(split + DEDUP for split in store.splits), *made]
        raise unknown("split", name, known, where=store.path)
    if name == base + FORMER_DEDUP:
        warnings.warn(f"{store.path}: split {name} is now called {base + DEDUP}", FormerName, stacklevel=2)
    both = np.intersect1d(train, test)
    if both.size:
        raise UserError(f"{store.path}: split {base!r}: clip {str(store.name[both[0]])!r} is in train and in test")
    if name != base:
        test = test[~np.isin(store.content[test], store.content[train])]
    for side, clips in (("train", train), ("test", test)):
        if not clips.size:
            raise UserError(f"{store.path}: split {name!r}: {side} has no clips; choose another split")
    return Split(name, train, test)


def _told(store: Store, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows that train and test in a split that the store records."""
    check_splits({name: store.splits[name]}, str(store.path))
    sides = store.splits[name]
    train, test = (np.flatnonzero(_where(store, sides[side])) for side in ("train", "test"))
    excluded = sides.get("exclude", [])
    if excluded:
        check_exclusions(excluded, store.name.tolist(), f"{store.path}: split {name!r}: exclude")
        train, test = (side[~np.isin(store.name[side], excluded)] for side in (train, test))
    return train, test


def _where(store: Store, predicate: Mapping[str, Any]) -> np.ndarray:
    """(N,) bool: clips for which all parts of a predicate hold."""
    hold = np.ones(len(store), bool)
    for column, values in predicate.items():
        wanted = values if column == "name" else [value_number(store, column, value) for value in values]
        hold &= np.isin(getattr(store, column), wanted)
    return hold


def value_number(store: Store, column: str, value: int | str) -> int:
    """The number of a value that a split gives by number or by name.

    Raises:
        UserError: the store has no such name.
    """
    if isinstance(value, int):
        return value
    names = store.value_names.get(column, {})
    if column == "label":
        names = {name: label for label, name in enumerate(store.class_names)}
    if value not in names:
        raise unknown(column, value, names or ["numbers only"], where=f"{store.path}: splits")
    return names[value]
