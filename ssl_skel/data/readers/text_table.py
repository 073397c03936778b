"""Rows of numbers in a text file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ssl_skel.errors import UserError


def read_table(file: Path, columns: int, what: str) -> np.ndarray:
    """Rows of numbers with white space or commas between, (N, columns) float64; empty lines do not count.

    Args:
        file: UTF-8 text, with a mark of the byte order or without, lines ending in any way.
        columns: numbers in a row.
        what: they are, for the message.

    Raises:
        UserError: it cannot be read, is empty, or a row has another number of columns or something else in it.
    """
    try:
        text = file.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b",", b" ").decode("ascii")
        rows = np.loadtxt(text.splitlines(), ndmin=2, comments=None) if text.strip() else np.zeros((0, columns))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split("\n")[0].split())[:100]
        raise UserError(f"{file}: is damaged: no rows of numbers, all of one length ({reason})") from error
    if not len(rows):
        raise UserError(f"{file}: is empty; download it again")
    if rows.shape[1] != columns:
        raise UserError(f"{file}: rows have {rows.shape[1]} numbers; expected {columns}, {what}")
    return rows


def unseen(joints: np.ndarray) -> np.ndarray:
    """Joints (..., C) as float32, NaN where all coordinates are zero: what a sensor says of those it has not found."""
    joints = joints.astype(np.float32)
    joints[(joints == 0).all(-1)] = np.nan
    return joints
