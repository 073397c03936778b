"""A folder appears only when it is whole: it is filled under a hidden name beside its target, then renamed.

The next process with the same work for the same path continues what a killed one left behind; a process with other
work removes it. The folder's ``journal.jsonl`` records the progress of the work.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ssl_skel.errors import UserError
from ssl_skel.files import folders
from ssl_skel.files.taken import FolderKind, refuse_taken_folder
from ssl_skel.files.temporary import LOCKS, REMEDY, cannot_write, claim, is_alive, left_behind, lock, sync, sync_path
from ssl_skel.plain_json import parse_json

_JOURNAL = "journal.jsonl"


class PartialFolder:
    """The hidden folder of one piece of work.

    Args:
        path: the folder to make, absolute.
        overwrite: replace what exists, at the end.
        kind, inputs: what may be replaced, see ``refuse_taken_folder``.
        key: identifies the work: leftovers of the same key are continued. Empty: never continue.

    Attributes:
        folder: where to write, once it is open.
        entries: of the journal that was found, oldest first; empty for a fresh start.

    Raises:
        UserError: the path is taken, is not a place for a store, or another process is writing it.
    """

    def __init__(
        self,
        path: Path,
        *,
        overwrite: bool = False,
        kind: FolderKind | None = None,
        inputs: Sequence[Path] = (),
        key: str = "",
    ) -> None:
        self.path, self._key = path, key
        self._refuse_taken = partial(refuse_taken_folder, path, overwrite, kind, inputs)
        self.folder = Path()
        self.entries: list[dict[str, Any]] = []
        self._lock: int | None = None
        folders.restore(path)
        self._refuse_taken()
        self._refuse_two()

    def open(self) -> None:
        """Make the folder, or continue one that was left behind."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._refuse_two()
        folders.sweep(self.path)
        for left in left_behind(self.path):
            if left.is_dir():
                self._continue_or_remove(left)
        if self._lock is None:
            self.folder, self._lock = claim(self.path, Path.mkdir)
            if self._key:
                self.note({"key": self._key})

    def note(self, entry: dict[str, Any]) -> None:
        """Add a line to the journal; it is on the disk when this returns."""
        with (self.folder / _JOURNAL).open("ab") as file:
            file.write(json.dumps(entry).encode() + b"\n")
            sync(file)

    def restart(self) -> None:
        """Forget the journal that was found."""
        self.entries = []
        (self.folder / _JOURNAL).unlink()
        self.note({"key": self._key})

    def publish(self) -> None:
        """Force everything in the folder onto the disk and give the folder its name.

        Raises:
            UserError: another process was faster.
        """
        self._refuse_taken()
        (self.folder / _JOURNAL).unlink(missing_ok=True)
        for path in (*self.folder.rglob("*"), self.folder):
            sync_path(path)
        folders.move(self.folder, self.path)

    def close(self, keep: bool = False) -> None:
        """Release the folder; remove it unless ``keep``, which leaves it to be continued."""
        if not keep and self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)

    def _refuse_two(self) -> None:
        """Refuse a path that another process is about to give to its work."""
        if self.path.parent.is_dir() and any(map(is_alive, left_behind(self.path))):
            raise UserError(
                f"{self.path}: another process is writing it; wait until it is done, or choose another path"
            )

    def _continue_or_remove(self, left: Path) -> None:
        """Continue or remove a leftover; a locked one has a living writer and stays."""
        handle = lock(left)
        if handle is None and LOCKS:
            return
        entries = _read_journal(left)
        if self._key and self._lock is None and handle is not None and entries[:1] == [{"key": self._key}]:
            self.folder, self._lock, self.entries = left, handle, entries[1:]
            return
        shutil.rmtree(left, ignore_errors=True)
        if handle is not None:
            os.close(handle)


@contextmanager
def whole_folder(
    path: Path,
    *,
    overwrite: bool = False,
    kind: FolderKind | None = None,
    inputs: Sequence[Path] = (),
    remedy: str = REMEDY,
) -> Iterator[Path]:
    """A folder that gets its name when the block ends, and vanishes on an error or Ctrl-C.

    Args:
        path: the folder to make.
        overwrite: replace what exists, at the end.
        kind, inputs: what may be replaced, see ``refuse_taken_folder``.
        remedy: end of the message where the system refuses.

    Yields:
        Where to write.

    Raises:
        UserError: as ``PartialFolder``; the system refuses to write, or an ``OSError`` in the block.
    """
    work = PartialFolder(folders.absolute(path), overwrite=overwrite, kind=kind, inputs=inputs)
    try:
        work.open()
        yield work.folder
        work.publish()
    except OSError as error:
        raise cannot_write(path, error, remedy) from error
    finally:
        work.close()


def _read_journal(folder: Path) -> list[dict[str, Any]]:
    """Whole lines of a journal; the last may have been cut by a crash, and is cut off the file too."""
    file = folder / _JOURNAL
    entries: list[dict[str, Any]] = []
    whole = 0
    try:
        for line in file.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            entries.append(dict(parse_json(line)))
            whole += len(line)
        os.truncate(file, whole)
    except (OSError, ValueError, TypeError):
        return []
    return entries
