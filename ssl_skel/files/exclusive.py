"""One process at a time works in a folder; a second one is told so at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ssl_skel.errors import UserError
from ssl_skel.files.temporary import cannot_write

LOCK = ".lock"
"""Name of the empty file that is locked. It stays; the lock itself ends with its process, even by a kill."""


@contextmanager
def only_worker(folder: Path, *, here: bool = True) -> Iterator[None]:
    """Lock a folder while the block runs.

    Args:
        folder: made where it is missing. A file system without locks gives none.
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
        raise cannot_write(folder, error, "choose another folder for runs") from error
    try:
        yield
    finally:
        lock.release()
