"""Pickles that hold NumPy arrays and plain containers, read so that nothing else in them can be created.

A pickle is a program: it names functions and calls them. Here each name of a short list stands for a function of this
file, and any other is refused before it is looked up. Arrays are made from their bytes by ``numpy.frombuffer``, so not
even NumPy's own unpickling, written in C, sees what the file says.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from struct import unpack
from typing import Any, BinaryIO, ClassVar, Literal

import numpy as np

from ssl_skel.errors import UserError

_KIND = re.compile(r"[biuf]\d{1,2}|[SU]\d{1,6}")
_DAMAGE = (
    *(pickle.UnpicklingError, EOFError, OSError, AttributeError, IndexError, KeyError, TypeError, ValueError),
    *(OverflowError, MemoryError, RecursionError, NotImplementedError, AssertionError, UnicodeError),
)


_LATE = 1024  # bytes from which on an array is left in its file


@dataclass(frozen=True)
class _Late:
    """Bytes or text that are left in the file, or bytes that are there as text, as protocol 2 writes them."""

    file: Path
    start: int
    size: int
    kind: Literal["bytes", "text", "bytes as text"]


@dataclass(frozen=True)
class LateArray:
    """An array that is read when it is requested.

    Attributes:
        shape, dtype: as a NumPy array has them.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    _order: Literal["C", "F"]
    _data: _Late

    def load(self) -> np.ndarray:
        """The array.

        Raises:
            OSError: the file is gone.
            ValueError: its bytes do not fit.
        """
        with self._data.file.open("rb") as stream:
            stream.seek(self._data.start)
            data = stream.read(self._data.size)
        if self._data.kind == "bytes as text":
            data = data.decode("utf-8", "surrogatepass").encode("latin1")
        return np.frombuffer(data, self.dtype).reshape(self.shape, order=self._order)


class _Type:
    """Stands for numpy.dtype; numbers and text only."""

    def __init__(self, kind: str, *_: Any) -> None:
        if not isinstance(kind, str) or not _KIND.fullmatch(kind):
            raise pickle.UnpicklingError(f"an array of {kind!r}, which may hold anything")
        self.dtype = np.dtype(kind)

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands for numpy.ndarray."""

    array: np.ndarray | LateArray

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        self.array = _from_bytes(data, kind, shape, "F" if fortran else "C").array


def _from_bytes(data: Any, kind: Any, shape: Any, order: Any = "C") -> _Array:
    late = isinstance(data, _Late) and data.kind != "text"
    if not isinstance(kind, _Type) or not (late or isinstance(data, bytes | bytearray)):
        raise pickle.UnpicklingError("an array that is not made of bytes")
    made = _Array()
    if not late:
        made.array = np.frombuffer(data, kind.dtype).reshape(shape, order="F" if order == "F" else "C")
        return made
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise pickle.UnpicklingError("an array of no shape")
    size = math.prod(shape) * kind.dtype.itemsize
    if data.size != size if data.kind == "bytes" else not size <= data.size <= 2 * size:
        raise pickle.UnpicklingError("an array that its bytes do not fill")
    made.array = LateArray(shape, kind.dtype, "F" if order == "F" else "C", data)
    return made


def _new_array(kind: Any = None, *_: Any) -> _Array:
    return _Array()


def _scalar(kind: Any, data: Any) -> Any:
    number = _from_bytes(data, kind, ()).array
    if isinstance(number, LateArray):
        raise pickle.UnpicklingError("a number of many bytes")
    return number.item()


def _encode(text: Any, encoding: Any) -> bytes | _Late:
    """Bytes as protocol 2 writes them."""
    if isinstance(text, _Late) and text.kind == "text" and encoding == "latin1":
        return replace(text, kind="bytes as text")
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("text in an odd encoding")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """What protocol 2 calls ``bytes`` for."""
    return b""


_CORES = ("numpy.core", "numpy._core")  # before and since NumPy 2
_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    **{(f"{core}.multiarray", "_reconstruct"): _new_array for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _from_bytes for core in _CORES},
}


class _Unpickler(pickle._Unpickler):  # the one in Python: the one in C fills gigabytes when a memo's number is damaged
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name}, which could run code")
        return _KNOWN[module, name]


class _LateUnpickler(_Unpickler):
    """Leaves long values in the file, and remembers where they are."""

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        pickle.BINBYTES[0]: lambda self: self._push(*unpack("<I", self.read(4)), "bytes"),
        pickle.BINBYTES8[0]: lambda self: self._push(*unpack("<Q", self.read(8)), "bytes"),
        pickle.BYTEARRAY8[0]: lambda self: self._push(*unpack("<Q", self.read(8)), "bytes"),
        pickle.BINUNICODE[0]: lambda self: self._push(*unpack("<I", self.read(4)), "text"),
        pickle.BINUNICODE8[0]: lambda self: self._push(*unpack("<Q", self.read(8)), "text"),
    }
    read: Any
    append: Any
    _unframer: Any

    def __init__(self, stream: _Bounded, file: Path) -> None:
        super().__init__(stream)
        self._bounded, self._path = stream, file

    def _push(self, size: int, kind: Literal["bytes", "text"]) -> None:
        if size < _LATE:
            data = self.read(size)
            self.append(data.decode("utf-8", "surrogatepass") if kind == "text" else data)
            return
        frame = self._unframer.current_frame  # part of the file, read ahead
        ahead = len(frame.getbuffer()) - frame.tell() if frame else 0
        start = self._bounded.size - self._bounded.left - ahead
        if len(self.read(size)) < size:
            raise EOFError("the file ends too early")
        self.append(_Late(self._path, start, size, kind))


class _Bounded:
    """A file that reports its end before memory is allocated for what is not there."""

    def __init__(self, stream: BinaryIO) -> None:
        self.size = self.left = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        if size > self.left:
            raise EOFError("the file ends too early")
        self.left -= size
        return self._stream.read(size)

    def readline(self) -> bytes:
        line = self._stream.readline()
        self.left -= len(line)
        return line


def load_plain(file: Path, late: bool = False) -> Any:
    """What a pickle holds: containers, text, numbers, and arrays of numbers or text.

    Args:
        file: the pickle.
        late: leave large arrays in the file, as ``LateArray``; text as large is refused.

    Raises:
        UserError: the file is damaged, or names anything but those.
    """
    try:
        with file.open("rb") as stream:
            bounded = _Bounded(stream)
            return _plain((_LateUnpickler(bounded, file) if late else _Unpickler(bounded)).load(), {})
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(f"{file}: is refused or damaged: {reason}; only plain data and arrays are read") from error


_UNDER_WAY = object()


def _plain(thing: Any, made: dict[int, Any]) -> Any:
    """A thing with the stand-ins replaced by their arrays; ``made`` holds the results for things met before, by id.

    Raises:
        ValueError: it contains itself, or something that is not plain.
    """
    if isinstance(thing, _Array):
        return thing.array
    if isinstance(thing, dict | list | tuple):
        if made.get(id(thing)) is _UNDER_WAY:
            raise ValueError("a container that contains itself")
        if id(thing) not in made:
            made[id(thing)] = _UNDER_WAY
            if isinstance(thing, dict):
                made[id(thing)] = {_plain(key, made): _plain(value, made) for key, value in thing.items()}
            else:
                items = [_plain(item, made) for item in thing]
                made[id(thing)] = tuple(items) if isinstance(thing, tuple) else items
        return made[id(thing)]
    if thing is None or isinstance(thing, str | bytes | bytearray | int | float | complex):
        return thing
    raise ValueError(f"a {type(thing).__name__}")
