"""Names and columns of the clips of a store that is being written."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np

from ssl_skel.data.clip_columns import BLOCK, COLUMNS, blocks_of
from ssl_skel.files.temporary import sync

_NUMBERS = ("content", "fps", *COLUMNS)
_CODES = {"content": "Q", "fps": "d"}  # of struct; "q" for all others
_ROW = struct.Struct("<" + "".join(_CODES.get(column, "q") for column in _NUMBERS))
_DTYPE = np.dtype([(column, {"Q": "<u8", "d": "<f8"}.get(_CODES.get(column, ""), "<i8")) for column in _NUMBERS])
_RECENT = 1 << 16  # hashes that wait to be sorted among the others


class WrittenClips:
    """They are kept in two files, so that memory hardly grows with their number: a hash of 8 bytes stays of each name,
    by which a name that is taken is noticed. Two of 15 million names share one once in 150,000 such stores.

    Args:
        folder: for the files, where they may lie already.
    """

    def __init__(self, folder: Path) -> None:
        self._names, self._numbers = ((folder / name).open("a+b") for name in ("names.jsonl", "columns.bin"))
        self._recent: set[int] = set()
        self._older = np.zeros(0, np.int64)
        self._count = self._longest = 0

    def __len__(self) -> int:
        """N, those that were added."""
        return self._count

    def __contains__(self, name: str) -> bool:
        """Whether a clip of that name was added."""
        key = hash(name)
        at = int(np.searchsorted(self._older, key))
        return key in self._recent or (at < len(self._older) and int(self._older[at]) == key)

    def add(self, name: str, numbers: Mapping[str, float]) -> None:
        """The next clip: its name, and a number for each other column."""
        self._names.write(json.dumps(name).encode() + b"\n")
        self._numbers.write(_ROW.pack(*(numbers[column] for column in _NUMBERS)))
        self._remember(name)

    def sync(self) -> dict[str, int]:
        """Have all of them on the disk; what ``go_back_to`` needs."""
        for file in (self._names, self._numbers):
            sync(file)
        return {"clips": self._count, "bytes": self._names.seek(0, os.SEEK_END)}

    def go_back_to(self, clips: int, bytes: int) -> bool:
        """Forget all that lies behind the end that a ``sync`` gave; False where the disk lost some of what it had."""
        ends = ((self._names, bytes), (self._numbers, clips * _ROW.size))
        if any(file.seek(0, os.SEEK_END) < end for file, end in ends):
            return False
        for file, end in ends:
            file.truncate(end)
        for name in self._read_names():
            self._remember(name)
        return True

    def columns(self) -> dict[str, tuple[np.dtype, Iterable[np.ndarray]]]:
        """Types and blocks of all columns, as for ``write_columns``."""
        self._numbers.flush()
        rows = np.memmap(self._numbers, _DTYPE, "r")
        names = np.dtype(f"<U{self._longest}")
        found: dict[str, tuple[np.dtype, Iterable[np.ndarray]]] = {"name": (names, self._blocks_of_names(names))}
        return found | {column: (_DTYPE[column], blocks_of(rows[column])) for column in _NUMBERS}

    def close(self, *, remove: bool = False) -> None:
        """Close the files, and remove them where the store is whole without them."""
        for file in (self._names, self._numbers):
            file.close()
            if remove:
                Path(file.name).unlink()

    def _remember(self, name: str) -> None:
        self._count, self._longest = self._count + 1, max(self._longest, len(name))
        self._recent.add(hash(name))
        if len(self._recent) >= _RECENT:
            self._older = np.sort(np.concatenate([self._older, np.fromiter(self._recent, np.int64)]))
            self._recent = set()

    def _read_names(self) -> Iterator[str]:
        self._names.seek(0)
        return map(json.loads, self._names)

    def _blocks_of_names(self, dtype: np.dtype) -> Iterator[np.ndarray]:
        names = self._read_names()
        while block := list(islice(names, BLOCK // 16)):
            yield np.array(block, dtype)
