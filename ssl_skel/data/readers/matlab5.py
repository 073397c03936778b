"""One numeric variable of a MATLAB 5 file, every tag and size checked before anything is believed.

The format: "MAT-File Format", The MathWorks, section "Level 5 MAT-File Format". ``scipy.io.loadmat`` reads much more,
and a crafted file can crash the interpreter in it.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator

import numpy as np

LARGEST = 32 * 2**20
"""Most bytes of a variable, unpacked: 70,000 frames of 20 joints in float64."""
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_INT8, _INT32, _UINT32 = 1, 5, 6
_NUMBERS = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
_NUMERIC_CLASSES = range(6, 16)  # double, single, and the whole numbers
_COMPLEX = 0x800
_ENOUGH = 1024  # bytes that hold flags, dimensions and a name of at most 63 letters


def read_variable(data: bytes, name: str) -> np.ndarray:
    """A variable's array, in the type that the file keeps it in.

    Args:
        data: the whole file, little-endian, its variables compressed or not.
        name: of the variable, which must be real and numeric.

    Raises:
        ValueError: no such file, variable or kind of variable, damage, or more than ``LARGEST`` bytes.
        zlib.error: damage in what is compressed.
    """
    if data[124:128] != b"\x00\x01IM":
        raise ValueError("no little-endian MATLAB 5 file")
    at = _HEADER
    while at < len(data):
        kind, body, at = _element(data, at, padded=False)
        packed = kind == _COMPRESSED
        head = zlib.decompressobj().decompress(body, _ENOUGH) if packed else struct.pack("<II", kind, len(body)) + body
        if _name(head) == name:
            return _numbers(_unpack(body) if packed else head)
    raise ValueError(f"no variable {name}")


def _unpack(body: bytes) -> bytes:
    """A compressed element, unless it is larger than the limit; its check sum is compared."""
    stream = zlib.decompressobj()
    whole = stream.decompress(body, LARGEST)
    if stream.unconsumed_tail or not stream.eof:
        raise ValueError(f"a variable is cut, or has more than {LARGEST} bytes")
    return whole


def _element(data: bytes, at: int, *, padded: bool = True) -> tuple[int, bytes, int]:
    """Type and bytes of the element at a place, and the place behind it."""
    if at + 8 > len(data):
        raise ValueError("an element is cut")
    kind, size = struct.unpack_from("<II", data, at)
    if kind >> 16:  # small: type and size share a word, up to four bytes follow
        kind, size, begin, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if size > 4:
            raise ValueError("a small element has more than four bytes")
    else:
        begin = at + 8
        end = begin + (-(-size // 8) * 8 if padded else size)
    if begin + size > len(data):
        raise ValueError("an element is cut")
    return kind, data[begin : begin + size], end


def _parts(matrix: bytes) -> Iterator[tuple[int, bytes]]:
    """Types and bytes of the parts of a matrix, of which only the beginning need be there."""
    if len(matrix) < 8 or struct.unpack_from("<I", matrix)[0] != _MATRIX:
        raise ValueError("a variable is not a matrix")
    at = 8
    while True:
        kind, body, at = _element(matrix, at)
        yield kind, body


def _header(matrix: bytes) -> tuple[int, tuple[int, ...], str, Iterator[tuple[int, bytes]]]:
    """Flags, dimensions and name of a matrix, and the parts that follow."""
    parts = _parts(matrix)
    wanted = []
    for kind, width in ((_UINT32, 4), (_INT32, 4), (_INT8, 1)):
        found, body = next(parts)
        if found != kind or len(body) % width:
            raise ValueError("a variable has parts of odd types")
        wanted.append(body)
    flags, dimensions, name = wanted
    if len(flags) != 8:
        raise ValueError("a variable has odd flags")
    shape = tuple(np.frombuffer(dimensions, "<i4").tolist())
    return struct.unpack("<II", flags)[0], shape, name.decode("ascii", "replace"), parts


def _name(head: bytes) -> str:
    return _header(head)[2]


def _numbers(matrix: bytes) -> np.ndarray:
    flags, shape, _, parts = _header(matrix)
    kind, body = next(parts)
    if flags & 0xFF not in _NUMERIC_CLASSES or flags & _COMPLEX or kind not in _NUMBERS:
        raise ValueError("the variable is not real and numeric")
    dtype = np.dtype(_NUMBERS[kind])
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError("the variable's dimensions do not fit its numbers")
    return np.frombuffer(body, dtype).reshape(shape, order="F")
