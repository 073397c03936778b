"""A file reaches the disk whole or not at all: it is written beside its target and renamed.

A crash leaves the former file, or none; what a killed process left beside it is removed by the next one that writes the
same file. Of two processes that write one file at the same time, the last one wins, with a whole file.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ssl_skel.files.temporary import LOCKS, REMEDY, cannot_write, claim, left_behind, lock, sync, sync_path


@contextmanager
def replacing(path: Path, *, remedy: str = REMEDY, make_folder: bool = True) -> Iterator[BinaryIO]:
    """Open a file that replaces ``path`` when the block ends, unless it ends with an error or Ctrl-C.

    Args:
        path: what to write. A link keeps its target; devices and pipes are written as they are.
        remedy: end of the message where the system refuses.
        make_folder: make the folder where it is missing.

    Yields:
        A binary file, open for writing and reading; its ``name`` is the path of a file on disk.

    Raises:
        UserError: the system refuses to write, or an ``OSError`` in the block.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            with path.open("wb") as device:
                yield device
            return
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if make_folder:
            target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        beside, handle = claim(target, lambda place: place.touch(exist_ok=False))
        file = beside.open("w+b")
        try:
            yield file
            sync(file)
            if not LOCKS:
                file.close()  # Windows renames no open file
            publish(beside, target)
        finally:
            beside.unlink(missing_ok=True)
            if handle is not None:
                os.close(handle)
            with suppress(OSError):  # a full disk refuses the last bytes again
                file.close()
    except OSError as error:
        raise cannot_write(path, error, remedy) from error


def write_bytes(path: Path, content: bytes, *, remedy: str = REMEDY, make_folder: bool = True) -> None:
    """Write a whole file; arguments and errors as for ``replacing``."""
    with replacing(path, remedy=remedy, make_folder=make_folder) as file:
        file.write(content)


def write_text(path: Path, text: str, *, remedy: str = REMEDY, make_folder: bool = True) -> None:
    """Write a whole file of UTF-8 text; arguments and errors as for ``replacing``."""
    write_bytes(path, text.encode(), remedy=remedy, make_folder=make_folder)


def write_json(path: Path, value: Any, *, remedy: str = REMEDY) -> None:
    """Write plain data as a whole JSON file; arguments and errors as for ``replacing``."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n", remedy=remedy)


def publish(beside: Path, path: Path) -> None:
    """Give a synced file its name, in place of what has it."""
    os.replace(beside, path)
    sync_path(path.parent)


def _sweep(path: Path) -> None:
    """Remove what dead writers of this file left behind."""
    for left in left_behind(path):
        with suppress(OSError):  # another process may be sweeping too
            handle = lock(left) if left.is_file() else None
            if handle is not None:
                left.unlink()
                os.close(handle)
