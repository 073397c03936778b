"""Temporary names beside a target, locks that distinguish a living writer from a dead one, and syncing.

Work on ``name`` is done in ``.name.1a2b3c4d.partial`` beside it, which stays locked for as long as its writer lives.
A file with such a name and no lock was left behind by a process that was killed.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ssl_skel.errors import UserError

try:
    import fcntl
except ImportError:  # Windows, which neither renames nor removes what is open
    fcntl = None  # type: ignore[assignment]

LOCKS = fcntl is not None
"""Whether this system can distinguish a living writer from a dead one."""
TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<end>[0-9a-f]{8}\.partial|removed|old)")
"""Names of what is being written, removed or replaced."""
REMEDY = "make room or choose another path"


def claim(path: Path, make: Callable[[Path], None]) -> tuple[Path, int | None]:
    """Make a temporary file or folder beside a path, and lock it.

    Args:
        path: the target.
        make: makes the empty file or folder of a name.

    Returns:
        The temporary path, and the handle of its lock, to be closed at the end; None without locks.
    """
    while True:
        place = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        make(place)
        try:
            handle = lock(place, wait=True)
        except FileNotFoundError:
            continue
        if place.exists():
            return place, handle
        if handle is not None:  # between the two calls another writer took it for a leftover
            os.close(handle)


def left_behind(path: Path) -> list[Path]:
    """Temporary files and folders beside a path, whether somebody still writes to them or not."""
    form = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]+\.partial")
    return sorted(other for other in path.parent.iterdir() if form.fullmatch(other.name))


def lock(path: Path, wait: bool = False) -> int | None:
    """Lock a file or folder for as long as the handle is open, at most as long as this process lives.

    Args:
        path: file or folder.
        wait: until another process lets go of it.

    Returns:
        The handle; None where a living writer holds the lock, or the file system has none.

    Raises:
        FileNotFoundError: there is no such file or folder.
    """
    if fcntl is None:
        return None
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        return None
    return handle


def is_alive(path: Path) -> bool:
    """Whether a living process holds the lock of a temporary file or folder."""
    if fcntl is None:
        return False
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no locks here
        return False
    finally:
        os.close(handle)
    return False


def sync(file: IO[bytes]) -> None:
    """Force all that was written to an open file onto the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_path(path: Path) -> None:
    """Force a file, or a folder's list of names, onto the disk."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open folders and needs no such call
        return
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot_write(path: Path, error: Exception, remedy: str = REMEDY) -> UserError:
    """The one line for a file or folder that the system refuses to write."""
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return UserError(f"{path}: cannot be written: {reason}; {remedy}")
