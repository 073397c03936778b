"""Members of ``.npz`` files, read clip by clip: an archive need not fit into memory.

A small archive may unpack to any size, so headers are checked against limits before anything is read.
"""

from __future__ import annotations

import math
import struct
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ssl_skel.errors import UserError

DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, MemoryError),
    *(tokenize.TokenError, SyntaxError),  # NumPy parses an odd header as Python
)
"""What reading a damaged ``.npz`` can raise."""
LARGEST = 128 * 2**20
"""Most bytes of all columns of a file together, and of the coordinates of one clip."""
MOST_CLIPS = 1_000_000
"""Most clips of one file; each takes memory, even if a few bytes represent all of them."""
_LONGEST_TEXT = 4096  # bytes; NumPy has four per character
_LONGEST_HEADER = 20_000  # bytes; NumPy believes 10,000 characters


def member_names(file: Path) -> list[str]:
    """Names of an archive's members.

    Raises:
        DAMAGE: no such archive.
    """
    with zipfile.ZipFile(file) as archive:
        return [entry.removesuffix(".npy") for entry in archive.namelist()]


def read_columns(
    file: Path, names: Iterable[str], most: int = LARGEST, remedy: str = "leave it out"
) -> dict[str, np.ndarray]:
    """Members that are read whole.

    Args:
        file: the archive.
        names: of the members.
        most: bytes of all of them together.
        remedy: for the one that has more.

    Raises:
        UserError: members of more bytes, or with texts of more than 1,024 characters.
        DAMAGE: the archive or a member is damaged, or a name is missing.
    """
    columns: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(file) as archive:
        for name in names:
            columns[name] = _read_column(file, archive, name, most, remedy)
            most -= columns[name].nbytes
    return columns


def _read_column(file: Path, archive: zipfile.ZipFile, name: str, most: int, remedy: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as stream:
        shape, _, dtype = read_header(stream)
        if math.prod(shape) * dtype.itemsize > most or (dtype.kind in "US" and dtype.itemsize > _LONGEST_TEXT):
            raise UserError(f"{file}: {name[:40]}: has shape {shape} of {dtype}, which is too large; {remedy}")
        stream.seek(0)
        column: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
        if dtype.kind == "U" and column.size:
            letters = np.ascontiguousarray(column, dtype.newbyteorder("<")).reshape(-1).view("<u4")
            if letters.max() > sys.maxunicode:  # NumPy makes strings of them that crash when printed
                raise ValueError(f"{name}: is not Unicode text")
        return column


def read_shape(file: Path, member: str) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Shape and dtype of a member, and whether the archive holds as many bytes as they need.

    Raises:
        DAMAGE: no such member, or no such file.
    """
    with zipfile.ZipFile(file) as archive, archive.open(f"{member}.npy") as stream:
        shape, _, dtype = read_header(stream)
        return shape, dtype, archive.getinfo(f"{member}.npy").file_size >= math.prod(shape) * dtype.itemsize


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and dtype of an ``.npy`` stream, which is left at the first number."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    at = stream.tell()
    (length,) = struct.unpack("<I", stream.read(4).ljust(4, b"\xff"))
    if length > _LONGEST_HEADER:
        raise ValueError("the header is too long")
    stream.seek(at)
    return np.lib.format.read_array_header_2_0(stream)


def read_blocks(file: Path, member: str, counts: np.ndarray) -> Iterator[np.ndarray]:
    """Slices of a member along its first axis, of at most ``LARGEST`` bytes each, without ever holding it whole.

    An array in Fortran order has to be read whole.

    Raises:
        UserError: a larger array in Fortran order.
        DAMAGE: the member is damaged, or a slice is larger.
    """
    with zipfile.ZipFile(file) as archive, archive.open(f"{member}.npy") as stream:
        shape, fortran, dtype = read_header(stream)
        if fortran:
            if math.prod(shape) * dtype.itemsize > LARGEST:
                raise UserError(
                    f"{file}: {member}: is in Fortran order, and too large; save np.ascontiguousarray of it"
                )
            stream.seek(0)
            whole = np.lib.format.read_array(stream, allow_pickle=False)
            yield from np.split(whole, np.cumsum(counts)[:-1])
            return
        size = math.prod(shape[1:]) * dtype.itemsize
        for count in map(int, counts):
            if count * size > LARGEST:
                raise ValueError(f"a clip has more than {LARGEST} bytes")
            data = stream.read(count * size)
            yield np.frombuffer(data, dtype).reshape(count, *shape[1:])
