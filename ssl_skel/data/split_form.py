"""The form of splits, as files hold them: see ``ssl_skel.data.splits`` for what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssl_skel.errors import UserError
from ssl_skel.names import check_path_name, unknown

COLUMNS = ("subject", "camera", "setup", "replication", "recording", "label", "name")
DEDUP = "_dedup"
FORMER_DEDUP = "_clean"


def check_splits(splits: Any, source: str, *, new: bool = False) -> None:
    """Refuse splits of another form.

    Args:
        splits: name -> side -> column -> values; or name -> "exclude" -> names.
        source: file they come from, for messages.
        new: of a store that is being made; older ones may have a name that ends as a deduplicated variant's does.

    Raises:
        UserError: naming source, key and remedy.
    """
    if not isinstance(splits, Mapping):
        raise UserError(f"{source}: splits: give a mapping, as in {{xsub: {{train: ..., test: ...}}}}")
    for name, sides in splits.items():
        check_path_name(name, f"{source}: splits")
        where = f"{source}: splits.{name}"
        if name == "all" or (new and name != split_without_suffix(name)):
            endings = f"{DEDUP} or {FORMER_DEDUP}"
            raise UserError(f"{where}: 'all' and names that end in {endings} are taken; choose another name")
        _check_split(sides, where)


def split_without_suffix(name: str) -> str:
    """Name of the split that a deduplicated one is a variant of; any other name as it is."""
    return name.removesuffix(DEDUP).removesuffix(FORMER_DEDUP)


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
        kinds, wanted = ((str,), "names") if column == "name" else ((int, str), "whole numbers or names")
        if not isinstance(values, list) or not all(type(value) in kinds for value in values):
            raise UserError(f"{where}.{column}: give a list of {wanted}")
