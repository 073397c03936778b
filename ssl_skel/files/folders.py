"""Whole folders change their names in one step, so that none is ever half there under its proper name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ssl_skel.files.temporary import sync_path


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
    """Bring back a folder whose replacement was killed between the two renames of ``move``."""
    old = _aside(path)
    if old.exists() and not path.exists():
        os.replace(old, path)


def remove(path: Path) -> None:
    """Remove a folder; a crash leaves some of it under a hidden name."""
    shutil.rmtree(path.rename(path.with_name(f".{path.name}.removed")))


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")
