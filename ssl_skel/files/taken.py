"""Whether an output path is free, asked before the work that would fill it."""

from __future__ import annotations

from pathlib import Path

from ssl_skel.errors import UserError


def refuse_taken_file(path: Path, overwrite: bool) -> None:
    """Refuse to write a file where something is.

    Raises:
        UserError: the path is a folder, or a file and ``overwrite`` is not set.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the path of a file")
    _refuse_existing(path, overwrite)


def refuse_taken_folder(path: Path, overwrite: bool) -> None:
    """Refuse to write a store or an index where something is.

    Raises:
        UserError: the path exists and ``overwrite`` is not set, or it is neither a store nor an index.
    """
    _refuse_existing(path, overwrite)
    if path.exists() and not (path / "meta.json").is_file():
        raise UserError(f"{path}: exists and is no store, so it will not be replaced; choose another path")


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise UserError(f"{path}: exists already; choose another path, or replace it with --overwrite")
