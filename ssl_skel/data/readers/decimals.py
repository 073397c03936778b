"""Numbers in text, thousands at once, so that a large text file is read at the speed of its bytes.

``float(word)`` for each word costs ten times as much. Here up to eight decimals of a number are read as one 64-bit
integer, in which three multiplications bring the digits of pairs, fours and eights together (Lemire, Number Parsing at
a Gigabyte per Second, 2021, Sec. 5).
"""

from __future__ import annotations

import re

import numpy as np

_WORD = re.compile(rb"\s*(\S+)")
PADDING = b" " * 16
"""What a text must end with, so that eight bytes can be read anywhere."""

_ZERO, _ZEROS = np.uint8(ord("0")), np.uint64(0x3030303030303030)
_HIGH = np.uint64(0x8080808080808080)
_TENS = 10.0 ** np.arange(9)
_SHIFT = np.array([0, *(64 - 8 * count for count in range(1, 9))], np.uint64)  # by number of decimals
_FILL = np.array([0, *(0x3030303030303030 >> 8 * count for count in range(1, 9))], np.uint64)
_STEPS = tuple(
    (np.uint64(mask), np.uint64(factor), np.uint64(shift))
    for mask, factor, shift in (
        (0x0F0F0F0F0F0F0F0F, 10 * 2**8 + 1, 8),
        (0x00FF00FF00FF00FF, 100 * 2**16 + 1, 16),
        (0x0000FFFF0000FFFF, 10_000 * 2**32 + 1, 32),
    )
)


def read_numbers(text: bytes, at: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    r"""The numbers that follow each of some places in a text, bit for bit as ``float`` reads them.

    Fast for numbers below ten with one to eight decimals, such as coordinates in metres, and one space between; others
    take the slow way.

    >>> text = b"1.5 -0.25 nose\n2e1 7" + PADDING
    >>> read_numbers(text, np.array([0, 15]), 2)[0]
    array([[ 1.5 , -0.25],
           [20.  ,  7.  ]])

    Args:
        text: words with white space between, and ``PADDING`` at the end.
        at: (N,) where to begin.
        count: how many numbers to read from there on.

    Returns:
        (N, count) float64, and the (N,) places where the last ones end.

    Raises:
        ValueError: a word is not a number, or is missing.
    """
    characters = np.frombuffer(text, np.uint8)
    eights = np.ndarray(len(text) - 7, "<u8", text, strides=(1,))
    numbers = np.empty((len(at), count))
    for column in range(count):
        negative = characters[at] == ord("-")
        first = at + negative
        whole = characters[first] - _ZERO
        word = eights[first + 2]
        other = ((word + np.uint64(0x4646464646464646)) | (word - _ZEROS)) & _HIGH  # set above what is not a digit
        decimals = np.bitwise_count((other & np.negative(other)) - np.uint64(1)).astype(np.intp) >> 3  # before it
        end = first + 2 + decimals
        plain = (whole <= 9) & (characters[first + 1] == ord(".")) & (decimals > 0) & (characters[end] <= ord(" "))
        word = (word << _SHIFT[decimals]) | _FILL[decimals]  # zeros in front
        for mask, factor, shift in _STEPS:
            word = ((word & mask) * factor) >> shift
        tens = _TENS[decimals]
        number = np.copysign((whole * tens + word) / tens, 0.5 - negative)  # of exact integers, so rounded once
        for odd in np.flatnonzero(~plain).tolist():
            found = _WORD.match(text, at.item(odd))
            if not found:
                raise ValueError("a number is missing at the end")
            number[odd], end[odd] = float(found[1]), found.end()
        numbers[:, column], at = number, np.minimum(end + 1, len(text) - len(PADDING))
    return numbers, end
