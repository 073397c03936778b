"""The folder that an audit is written to, checked before the work is done."""

from __future__ import annotations

import os
from pathlib import Path

from ssl_skel.errors import UserError
from ssl_skel.files.taken import refuse_taken_folder


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that an audit cannot be written to, before the work is done.

    Raises:
        UserError: something is there already, and is not an audit to be replaced; or the folder cannot be made.
    """
    refuse_taken_folder(folder, overwrite, "audit")
    above = next(parent for parent in folder.resolve().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: cannot be made in {above}; choose another folder with -o")
