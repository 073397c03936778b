"""The folder that an audit is written to, checked before the work is done."""

from __future__ import annotations

import os
from pathlib import Path

from ssl_skel.errors import UserError

FILES = ("audit.json", "audit.md", "exclude.txt")


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that an audit cannot be written to, before the work is done.

    Raises:
        UserError: an audit is there already, or the folder cannot be made or written to.
    """
    taken = [name for name in FILES if (folder / name).exists()]
    if taken and not overwrite:
        raise UserError(f"{folder / taken[0]}: exists already; choose another folder with -o, or give --overwrite")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}; choose another folder with -o") from error
    if not writable:
        raise UserError(f"{folder}: cannot be written to; choose another folder with -o")
