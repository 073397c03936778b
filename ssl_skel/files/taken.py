"""Whether an output path is free, checked before the work that would fill it.

``--overwrite`` replaces a thing by another of its own kind, and never what the work reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ssl_skel.errors import UserError

FolderKind = Literal["store", "index", "audit", "classifier"]
_MARKS: dict[str, set[str]] = {
    "store": {"joints.npy", "clips.npz"},
    "index": {"vectors.npy", "rows.npy", "encoder"},
    "audit": set(),
    "classifier": set(),
}
"""What only one kind has beside its ``meta.json``; one of them must exist."""
_HOLDS: dict[str, set[str]] = {
    "store": {"meta.json", "joints.npy", "clips.npz", "repairs.json", "same_recording.json", "subsets", "audit"},
    "index": {"meta.json", "vectors.npy", "rows.npy", "codes.safetensors", "faiss.index", "lance", "encoder"},
    "audit": {"audit.json", "audit.md", "audit.html", "exclude.txt"},
    "classifier": {"card.json", "encoder.safetensors", "head.json", "head.safetensors", "typical.safetensors"},
}
"""Everything that a folder of each kind may hold; with anything else in it, it is not replaced."""
_PARTS = {mark for marks in _MARKS.values() for mark in marks} | {
    *("meta.json", "codes.safetensors", "faiss.index"),
    *("card.json", "encoder.safetensors", "head.json"),
    *("config.yaml", "log.jsonl", "report.json", "report.md", "trainings.json", "answers.npz"),
}
"""Files that stores, indexes, encoders and runs consist of; no output of a command takes their place."""


def is_index(path: Path) -> bool:
    """Whether a folder holds a search index; the vectors of one past memory may be elsewhere."""
    return (path / "vectors.npy").is_file() or all((path / name).exists() for name in ("meta.json", "encoder"))


def refuse_taken_file(path: Path, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Refuse to write a file where something is.

    Args:
        path: what is to be written.
        overwrite: replace a file that is there.
        inputs: files and folders that the work reads.

    Raises:
        UserError: the path is a folder, an input, a part of a store, an index, an encoder or a run; or a file, and
            ``overwrite`` is not set.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the path of a file")
    _refuse_existing(path, overwrite)
    _refuse_inputs(path, inputs)
    if path.exists() and path.name in _PARTS:
        raise UserError(f"{path}: may be a part of a store, an index or a run; choose another path")


def refuse_taken_folder(path: Path, overwrite: bool, kind: FolderKind | None, inputs: Iterable[Path] = ()) -> None:
    """Refuse to write a store, an index, an audit or a classifier where something is.

    Args:
        path: what is to be written.
        overwrite: replace what exists.
        kind: what it will be, and the only kind that it replaces; None replaces nothing.
        inputs: files and folders that the work reads.

    Raises:
        UserError: the path exists and ``overwrite`` is not set, it is of another kind, it holds files that are not part
            of its kind, or it is or holds an input.
    """
    _refuse_existing(path, overwrite)
    if not path.exists():
        return
    there = {name for name in os.listdir(path) if not name.startswith(".")} if path.is_dir() else set()
    marks = _MARKS[kind] if kind else set()
    if kind is None or not path.is_dir() or (marks and not ("meta.json" in there and there & marks)):
        raise UserError(
            f"{path}: exists and is no {kind or 'such folder'}, so it will not be replaced; choose another path"
        )
    if own := there - _HOLDS[kind]:
        raise UserError(
            f"{path}: holds {min(own)!r}, which is not part of the {kind}, so it will not be replaced; "
            "move that file away, or choose another path"
        )
    _refuse_inputs(path, inputs)


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise UserError(f"{path}: exists already; choose another path, or replace it with --overwrite")


def _refuse_inputs(path: Path, inputs: Iterable[Path]) -> None:
    target = os.path.realpath(path)
    for given in inputs:
        if os.path.exists(given) and Path(os.path.realpath(given)).is_relative_to(target):
            raise UserError(f"{path}: {given} is read, so it will not be replaced; choose another path")
