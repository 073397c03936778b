"""Whole folders are renamed in one step, so that none is ever incomplete under its proper name."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from ssl_skel.errors import UserError
from ssl_skel.files.temporary import is_alive, left_behind, sync_path


def absolute(path: Path | str) -> Path:
    """A path that is to be written, without links.

    Raises:
        UserError: links lead in a circle, or it is the root of a file system.
    """
    try:
        found = Path(path).resolve()
        found.exists()
    except (OSError, RuntimeError) as error:  # Python before 3.13 raises RuntimeError
        raise UserError(f"{path}: its links lead in a circle; choose another path") from error
    if not found.name or found.is_symlink():
        what = "is the root of all" if not found.name else "its links lead in a circle"
        raise UserError(f"{path}: {what}; choose another path")
    return found


def move(source: Path, path: Path) -> None:
    """Give a whole folder the place of another, which is removed; see ``restore``."""
    old = _aside(path)
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(path, old)
    os.replace(source, path)
    sync_path(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def restore(path: Path) -> None:
    """Bring back a folder whose replacement was killed between the two renames of ``move``.

    Call it before reading or replacing the folder. While the writer lives, nothing is done.

    Raises:
        UserError: the system refuses; says where the folder is.
    """
    if not path.name or path.exists():
        return
    old = _aside(path)
    if not old.exists() or any(map(is_alive, left_behind(path))):
        return
    try:
        os.replace(old, path)
    except FileNotFoundError:  # another process did it
        return
    except OSError as error:
        reason = f"its replacement was stopped, and it cannot be put back: {error.strerror}"
        raise UserError(f"{path}: {reason}; rename {old} to {path.name}") from error


def remove(path: Path) -> None:
    """Remove a folder; a crash leaves some of it under a hidden name, which the next call removes."""
    gone = path.with_name(f".{path.name}.removed")
    shutil.rmtree(gone, ignore_errors=True)
    if path.exists():
        shutil.rmtree(path.rename(gone))


def sweep(path: Path) -> None:
    """Remove what a killed replacement left of the former folder, once the new one has its name."""
    if path.exists():
        with suppress(OSError):
            shutil.rmtree(_aside(path))


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")
