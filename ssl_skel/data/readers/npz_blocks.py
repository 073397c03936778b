"""Members of ``.npz`` files, read clip by clip: an archive need not fit into memory."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, MemoryError),
    *(tokenize.TokenError, SyntaxError),  # NumPy parses an odd header as Python
)
"""What reading a damaged ``.npz`` can raise."""


def read_shape(file: Path, member: str) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Shape and dtype of a member, and whether the archive holds as many bytes as they need.

    Raises:
        DAMAGE: no such member, or no such file.
    """
    with zipfile.ZipFile(file) as archive, archive.open(f"{member}.npy") as stream:
        shape, _, dtype = _header(stream)
        return shape, dtype, archive.getinfo(f"{member}.npy").file_size >= math.prod(shape) * dtype.itemsize


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and dtype of an ``.npy`` stream, which is left at the first number."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def read_blocks(file: Path, member: str, counts: np.ndarray) -> Iterator[np.ndarray]:
    """Slices of a member along its first axis, without ever holding it whole.

    An array in Fortran order has to be read whole.
    """
    with zipfile.ZipFile(file) as archive, archive.open(f"{member}.npy") as stream:
        shape, fortran, dtype = _header(stream)
        if fortran:
            stream.seek(0)
            whole = np.lib.format.read_array(stream, allow_pickle=False)
            yield from np.split(whole, np.cumsum(counts)[:-1])
            return
        size = math.prod(shape[1:]) * dtype.itemsize
        for count in counts:
            data = stream.read(int(count) * size)
            yield np.frombuffer(data, dtype).reshape(count, *shape[1:])
