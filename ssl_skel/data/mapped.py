"""Arrays of NumPy's own format that stay in their files, mapped into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from ssl_skel.errors import UserError


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
        array = np.lib.format.open_memmap(file, mode=mode)
    except Exception as error:  # NumPy parses a damaged header as Python, and may raise anything
        raise UserError(f"{file}: is truncated, damaged or missing; {remedy}") from error
    size = array.offset + array.nbytes
    if (array.shape, array.dtype) != (shape, dtype) or not array.flags.c_contiguous or file.stat().st_size != size:
        raise UserError(f"{file}: is not what meta.json says; {remedy}")
    return array
