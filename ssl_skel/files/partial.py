"""A folder that appears only when whole: work goes on in a hidden one beside it, which is renamed at the end.

What a killed process left behind is taken up by the next one that does the same work for the same path, and removed by
one that does other work. How far it came stands in the folder's ``journal.jsonl``.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path
from typing import IO, Any

from ssl_skel.errors import UserError

try:
    import fcntl
except ImportError:  # Windows, where a folder with an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_JOURNAL = "journal.jsonl"


class PartialFolder:
    """The hidden folder of one piece of work.

    Args:
        path: the folder to make, absolute.
        overwrite: replace what is there, at the end.
        key: tells the work; the same key means that what was left behind can be gone on with. Empty: never go on.

    Attributes:
        folder: where to write.
        entries: of the journal that was found, oldest first; empty for a fresh start.

    Raises:
        UserError: the path is taken, or is no place for a store.
    """

    def __init__(self, path: Path, *, overwrite: bool = False, key: str = "") -> None:
        self.path, self._overwrite, self._key = path, overwrite, key
        self.folder = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        self.entries: list[dict[str, Any]] = []
        self._lock: int | None = None
        self._old = path.with_name(f".{path.name}.old")
        if self._old.exists() and not path.exists():  # killed between the two renames of a replacement
            self._old.rename(path)
        self._refuse_taken()
        if path.exists() and not (path / "meta.json").is_file():
            raise UserError(f"{path}: exists and is no store, so it will not be replaced; choose another path")

    def open(self) -> None:
        """Make the folder, or take up one that was left behind."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for left in sorted(self.path.parent.iterdir()):
            if left.name.startswith(f".{self.path.name}.") and left.name.endswith(".partial"):
                self._take_or_remove(left)
        if self._lock is None:
            self.folder.mkdir()
            self._lock = _lock(self.folder)
            if self._key:
                self.note({"key": self._key})

    def note(self, entry: dict[str, Any]) -> None:
        """Add a line to the journal; it is on the disk when this returns."""
        with (self.folder / _JOURNAL).open("ab") as file:
            file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            sync(file)

    def restart(self) -> None:
        """Forget the journal that was found."""
        self.entries = []
        (self.folder / _JOURNAL).unlink()
        self.note({"key": self._key})

    def publish(self) -> None:
        """Give the folder its name.

        Raises:
            UserError: another was faster.
        """
        self._refuse_taken()
        (self.folder / _JOURNAL).unlink(missing_ok=True)
        sync_folder(self.folder)
        if self.path.exists():
            shutil.rmtree(self._old, ignore_errors=True)
            self.path.rename(self._old)
        self.folder.rename(self.path)
        sync_folder(self.path.parent)
        shutil.rmtree(self._old, ignore_errors=True)

    def close(self, keep: bool = False) -> None:
        """Let go of the folder; remove it unless it is to be gone on with."""
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)

    def _take_or_remove(self, left: Path) -> None:
        """Deal with a folder left behind; one whose writer lives is locked, and let be."""
        lock = _lock(left)
        if lock is None and fcntl is not None:
            return
        entries = _read_journal(left)
        if self._key and self._lock is None and lock is not None and entries[:1] == [{"key": self._key}]:
            self.folder, self._lock, self.entries = left, lock, entries[1:]
            return
        shutil.rmtree(left, ignore_errors=True)
        if lock is not None:
            os.close(lock)

    def _refuse_taken(self) -> None:
        if self.path.exists() and not self._overwrite:
            raise UserError(f"{self.path}: exists already; choose another path, or replace it with --overwrite")


def _read_journal(folder: Path) -> list[dict[str, Any]]:
    """Whole lines of a journal; the last may have been cut by a crash, and is cut off the file too."""
    file = folder / _JOURNAL
    entries: list[dict[str, Any]] = []
    whole = 0
    try:
        for line in file.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            entries.append(dict(json.loads(line)))
            whole += len(line)
        os.truncate(file, whole)
    except (OSError, ValueError, TypeError):
        return []
    return entries


def _lock(folder: Path) -> int | None:
    """Lock a folder for as long as this process lives; None where that cannot be had."""
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by a living writer, or a file system without locks
        os.close(handle)
        return None
    return handle


def sync(file: IO[bytes]) -> None:
    """Have all that was written on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have a folder's names on the disk, where the system lets us."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
