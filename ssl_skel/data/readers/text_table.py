"""Rows of numbers in a text file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_skel.errors import UserError


def read_any_table(file: Path) -> np.ndarray:
    """Rows of numbers separated by white space or commas, (N, columns) float64; empty lines do not count.

    Args:
        file: UTF-8 text, with a mark of the byte order or without, lines ending in any way.

    Raises:
        UserError: it cannot be read, is empty, or rows differ in length or hold something else.
    """
    try:
        text = file.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b",", b" ").decode("ascii")
        rows = np.loadtxt(text.splitlines(), ndmin=2, comments=None) if text.strip() else np.zeros((0, 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split("\n")[0].split())[:100]
        raise UserError(f"{file}: is damaged: no rows of numbers, all of one length ({reason})") from error
    if not len(rows):
        raise UserError(f"{file}: is empty; download it again")
    return rows


def read_table(file: Path, columns: int, what: str) -> np.ndarray:
    """The same, (N, columns).

    Args:
        file: as in ``read_any_table``.
        columns: numbers in a row.
        what: they are, for the message.

    Raises:
        UserError: as in ``read_any_table``, or a row has another number of columns.
    """
    rows = read_any_table(file)
    if rows.shape[1] != columns:
        raise UserError(f"{file}: rows have {rows.shape[1]} numbers; expected {columns}, {what}")
    return rows


@dataclass(frozen=True)
class Rows:
    """Rows of numbers, of which some may be damaged.

    Attributes:
        numbers: (N, columns) float64; in a damaged row NaN where a word is not a number or is missing.
        damage: number of a damaged row -> what is wrong with it; begins with the file.
    """

    numbers: np.ndarray
    damage: Mapping[int, str]

    def refuse_damage(self, rows: np.ndarray) -> None:
        """Let a clip be made of sound rows only.

        Raises:
            UserError: one of the rows is damaged.
        """
        for row in rows.tolist() if self.damage else ():
            if row in self.damage:
                raise UserError(self.damage[row])


def read_rows(file: Path, columns: int, what: str) -> Rows:
    """As ``read_table``, for files of several clips: a damaged row spoils the clip it is part of, and no other.

    Raises:
        UserError: as ``read_table``, where not one row is sound.
    """
    try:
        return Rows(read_table(file, columns, what), {})
    except UserError:
        rows, damage = _row_by_row(file, columns, what)
        if len(damage) == len(rows):
            raise
    return Rows(np.array(rows), damage)


def _row_by_row(file: Path, columns: int, what: str) -> tuple[list[list[float]], dict[int, str]]:
    """Each row's numbers, as many as there should be, and what is wrong with rows that are damaged."""
    rows: list[list[float]] = []
    damage: dict[int, str] = {}
    try:
        lines = file.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b",", b" ").splitlines()
    except OSError:
        return rows, damage
    for line, text in enumerate(lines, 1):
        words = text.decode("ascii", "replace").split()
        if not words:
            continue
        numbers = [_number(word) for word in words]
        odd = next((word for word, number in zip(words, numbers, strict=True) if number is None), None)
        if len(words) != columns:
            damage[len(rows)] = f"{file}: line {line}: has {len(words)} numbers; expected {columns}, {what}"
        elif odd is not None:
            damage[len(rows)] = f"{file}: line {line}: {odd[:40]!r} is not a number"
        numbers += [None] * columns
        rows.append([math.nan if number is None else number for number in numbers[:columns]])
    return rows, damage


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def unseen(joints: np.ndarray) -> np.ndarray:
    """Joints (..., C) as float32, NaN where all coordinates are zero: as sensors write those they have not found."""
    joints = joints.astype(np.float32)
    joints[(joints == 0).all(-1)] = np.nan
    return joints
