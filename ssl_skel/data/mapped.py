"""Arrays of NumPy's own format that stay in their files, mapped into memory."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path
from typing import Literal

import numpy as np

from ssl_skel.errors import UserError

# The module names it from Python 3.13 on; mapped without it, Linux refuses a file that is larger than its memory.
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


def map_array(file: Path, shape: tuple[int, ...], dtype: np.dtype, remedy: str, mode: Literal["r", "c"]) -> np.ndarray:
    """Map a ``.npy`` file of known shape and type, without reading any of its numbers.

    Args:
        file: the array, and nothing else.
        shape, dtype: that it must have, in C order.
        remedy: end of the message if it does not match.
        mode: "r" to read only; "c" to change numbers in memory, never in the file.

    Raises:
        UserError: the file is missing, damaged, or another array.
    """
    try:
        array = np.lib.format.open_memmap(file, mode="r")
    except Exception as error:  # NumPy parses a damaged header as Python, and may raise anything
        raise UserError(f"{file}: is truncated, damaged or missing; {remedy}") from error
    size = array.offset + array.nbytes
    if (array.shape, array.dtype) != (shape, dtype) or not array.flags.c_contiguous or file.stat().st_size != size:
        raise UserError(f"{file}: is not what meta.json says; {remedy}")
    return array if mode == "r" else _copy_on_write(file, array)


def map_copy_on_write(file: Path) -> mmap.mmap:
    """All bytes of a file; changes stay in memory, which is reserved for none of them, so that any size is mapped."""
    with file.open("rb") as stream:
        if not hasattr(mmap, "MAP_PRIVATE"):  # Windows
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        flags, protection = mmap.MAP_PRIVATE | _NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        return mmap.mmap(stream.fileno(), 0, flags=flags, prot=protection)


def _copy_on_write(file: Path, array: np.memmap) -> np.ndarray:
    """The same array, mapped for changes in memory."""
    mapping = map_copy_on_write(file)
    changed = np.ndarray.__new__(np.memmap, array.shape, array.dtype, mapping, array.offset)
    vars(changed).update(_mmap=mapping, offset=array.offset, mode="c", filename=array.filename)
    return changed
