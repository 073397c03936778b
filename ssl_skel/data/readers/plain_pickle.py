"""Pickles that hold NumPy arrays and plain containers, read so that nothing else in them can come to life.

A pickle is a program: it names functions and calls them. Here each name of a short list stands for a function of this
file, and any other is refused before it is looked up. Arrays are made from their bytes by ``numpy.frombuffer``, so not
even NumPy's own unpickling, written in C, sees what the file says.
"""

from __future__ import annotations

import io
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ssl_skel.errors import UserError

_KIND = re.compile(r"[biuf]\d{1,2}|[SU]\d{1,6}")
_DAMAGE = (
    *(pickle.UnpicklingError, EOFError, OSError, AttributeError, IndexError, KeyError, TypeError, ValueError),
    *(OverflowError, MemoryError, RecursionError, NotImplementedError, AssertionError, UnicodeError),
)


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

    array: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        self.array = _from_bytes(data, kind, shape, "F" if fortran else "C").array


def _from_bytes(data: Any, kind: Any, shape: Any, order: Any = "C") -> _Array:
    if not isinstance(kind, _Type) or not isinstance(data, bytes | bytearray):
        raise pickle.UnpicklingError("an array that is not made of bytes")
    made = _Array()
    made.array = np.frombuffer(data, kind.dtype).reshape(shape, order="F" if order == "F" else "C")
    return made


def _new_array(kind: Any = None, *_: Any) -> _Array:
    return _Array()


def _scalar(kind: Any, data: Any) -> Any:
    return _from_bytes(data, kind, ()).array.item()


def _encode(text: Any, encoding: Any) -> bytes:
    """Bytes as protocol 2 writes them."""
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


class _Bounded:
    """A file that tells of its end before room is made for what is not there."""

    def __init__(self, stream: BinaryIO) -> None:
        self.left = stream.seek(0, io.SEEK_END)
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


def load_plain(file: Path) -> Any:
    """What a pickle holds: containers, text, numbers, and arrays of numbers or text.

    Raises:
        UserError: the file is damaged, or names anything but those.
    """
    try:
        with file.open("rb") as stream:
            return _plain(_Unpickler(_Bounded(stream)).load(), {})
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(f"{file}: is refused or damaged: {reason}; only plain data and arrays are read") from error


_UNDER_WAY = object()


def _plain(thing: Any, made: dict[int, Any]) -> Any:
    """A thing with the stand-ins replaced by their arrays; ``made`` holds what came of things met before, by id.

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
