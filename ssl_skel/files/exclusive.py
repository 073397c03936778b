"""One process at a time works in a folder; a second one is refused at once.

Temporary files of killed processes are removed before the work begins.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ssl_skel.errors import UserError
from ssl_skel.files import folders
from ssl_skel.files.temporary import TEMPORARY, cannot_write, is_alive

LOCK = ".lock"
"""Name of the empty file that is locked. It stays; the lock itself ends with its process, even by a kill."""


@contextmanager
def only_worker(folder: Path, *, here: bool = True) -> Iterator[None]:
    """Lock a folder while the block runs.

    Args:
        folder: made where it is missing. A file system without locks, or one that is read-only, gives none.
        here: False does nothing: of the ranks of one run, the first locks for all.

    Raises:
        UserError: another process works there, or the folder cannot be written.
    """
    if not here:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise UserError(
            f"{folder}: another process works on this run; wait until it is done, or use another name"
        ) from error
    except NotImplementedError:
        yield
        return
    except OSError as error:
        if error.errno == errno.EROFS and folder.is_dir():  # what is finished can be read, and nobody writes here
            yield
            return
        raise cannot_write(folder, error, "choose another folder for runs") from error
    try:
        _sweep(folder)
        yield
    finally:
        lock.release()


def _sweep(folder: Path) -> None:
    """Remove what killed processes left here and in all folders below; put back what one was about to replace."""
    for place, names, files in os.walk(folder):
        for name in names:
            found, path = TEMPORARY.fullmatch(name), Path(place) / name
            if found and found["end"] == "old":
                folders.restore(path.with_name(found["name"]))
                folders.sweep(path.with_name(found["name"]))
            elif found and not is_alive(path):
                shutil.rmtree(path, ignore_errors=True)
        for name in files:
            path = Path(place) / name
            if TEMPORARY.fullmatch(name) and name.endswith(".partial") and not is_alive(path):
                path.unlink(missing_ok=True)
