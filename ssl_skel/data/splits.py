"""Splits: which clips train and which test, as data in the store.

A split is told by predicates over the clips' columns; a clip belongs where all of them hold::

    xview:
      train: {camera: [1, 2]}
      test: {camera: [3]}

Columns are subject, camera, setup, replication, recording, label and name. Values are numbers, or names where the
store has some (of classes too). A split may name clips that belong to neither
side, ``exclude: [clip, clip]``; ``ssl-skel audit`` proposes some. Every split has a deduplicated variant, named with
``_dedup`` at its end, without the test clips whose recording, coordinate for coordinate, is also a training clip. The
former ending, ``_clean``, is read for one release. ``all`` trains on everything. Splits that a store does not tell but
that follow from its clips, such as ``by_subject`` and ``random``, are in ``derived_splits``.
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
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.names import check_path_name, unknown

COLUMNS = ("subject", "camera", "setup", "replication", "recording", "label", "name")
DEDUP = "_dedup"
_FORMER_DEDUP = "_clean"


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
        store: where the split is told.
        name: of the split, told or derived, with ``_dedup`` for the variant without duplicates; or ``all``.

    Raises:
        UserError: no such split, one that the clips do not allow, a name that cannot become a path, an empty side, a
            clip on both sides, or excluded names that are no clips.
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
    if name == base + _FORMER_DEDUP:
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
    """Rows that train and test in a split that the store tells."""
    check_path_name(name, f"{store.path}: splits")
    sides = store.splits[name]
    _check_split(sides, f"{store.path}: splits.{name}")
    train, test = (np.flatnonzero(_where(store, sides[side])) for side in ("train", "test"))
    excluded = sides.get("exclude", [])
    if excluded:
        check_exclusions(excluded, store.name.tolist(), f"{store.path}: split {name!r}: exclude")
        train, test = (side[~np.isin(store.name[side], excluded)] for side in (train, test))
    return train, test


def check_splits(splits: Any, source: str) -> None:
    """Refuse splits that are not of the form told above.

    Args:
        splits: name -> side -> column -> values; or name -> "exclude" -> names.
        source: file they come from, for messages.

    Raises:
        UserError: naming source, key and remedy.
    """
    if not isinstance(splits, Mapping):
        raise UserError(f"{source}: splits: give a mapping, as in {{xsub: {{train: ..., test: ...}}}}")
    for name, sides in splits.items():
        where = f"{source}: splits.{name}"
        if not isinstance(name, str) or not name or name == "all" or name != split_without_suffix(name):
            endings = f"{DEDUP} or {_FORMER_DEDUP}"
            raise UserError(f"{where}: 'all' and names that end in {endings} are taken; choose another name")
        check_path_name(name, f"{source}: splits")
        _check_split(sides, where)


def split_without_suffix(name: str) -> str:
    """Name of the split that a deduplicated one is a variant of; any other name as it is."""
    return name.removesuffix(DEDUP).removesuffix(_FORMER_DEDUP)


def _check_split(sides: Any, where: str) -> None:
    if not isinstance(sides, Mapping) or set(sides) - {"exclude"} != {"train", "test"}:
        raise UserError(f"{where}: needs the keys train and test, may have exclude, and no other")
    for side in ("train", "test"):
        _check_predicate(sides[side], f"{where}.{side}")
    names = sides.get("exclude", [])
    if not isinstance(names, list) or not all(type(name) is str for name in names):
        raise UserError(f"{where}.exclude: give a list of clip names")


def _check_predicate(predicate: Any, where: str) -> None:
    if not isinstance(predicate, Mapping) or not predicate:
        raise UserError(f"{where}: give columns and their values, as in {{subject: [1, 3]}}")
    for column, values in predicate.items():
        if column not in COLUMNS:
            raise unknown("column", column, COLUMNS, where=where)
        kinds, told = ((str,), "names") if column == "name" else ((int, str), "whole numbers or names")
        if not isinstance(values, list) or not all(type(value) in kinds for value in values):
            raise UserError(f"{where}.{column}: give a list of {told}")


def _where(store: Store, predicate: Mapping[str, Any]) -> np.ndarray:
    """(N,) bool: clips for which all parts of a predicate hold."""
    hold = np.ones(len(store), bool)
    for column, values in predicate.items():
        wanted = values if column == "name" else [value_number(store, column, value) for value in values]
        hold &= np.isin(getattr(store, column), wanted)
    return hold


def value_number(store: Store, column: str, value: int | str) -> int:
    """The number of a value that a split tells by number or by name.

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
