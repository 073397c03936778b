"""Damage to the bytes of any file: each mutation takes the bytes and a generator, and returns other bytes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]

NUMBERS = (b"-1", b"0", b"1e999", b"-1e308", b"1e37", b"nan", b"inf", b"9" * 20, b"9" * 5000, b"0x10", b"1_0", b"010")
TEXTS = (
    *("", " ", "\n", "\x00", "\x1b[2J", "[red]x[/red]", "=HYPERLINK(1)", "../../x", "/", ".", "..", "CON", "a/b"),
    *("\u2028", "\u202e", "\U0001f600", "x" * 300, "x" * 100_000, "{a}", "%s", "#x", "nan", "a\\b", "-", "e\u0301"),
)
"""Hostile names."""
DEEP = 100_000
"""Brackets within brackets."""


def flip_bits(content: bytes, rng: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if found:
            found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def remove_slice(content: bytes, rng: random.Random) -> bytes:
    start, stop = _slice(content, rng)
    return content[:start] + content[stop:]


def double_slice(content: bytes, rng: random.Random) -> bytes:
    start, stop = _slice(content, rng)
    return content[:stop] + content[start:stop] * rng.choice((1, 1, 2, 100)) + content[stop:]


def swap_slices(content: bytes, rng: random.Random) -> bytes:
    a, b = _slice(content, rng)
    c, d = _slice(content[b:], rng)
    return content[:a] + content[b + c : b + d] + content[b : b + c] + content[a:b] + content[b + d :]


def overwrite_slice(content: bytes, rng: random.Random) -> bytes:
    start, stop = _slice(content, rng)
    stop = min(stop, start + rng.choice((1, 2, 4, 8, 64)))
    return content[:start] + rng.choice((b"\x00", b"\xff", b"\x7f", b"\x80", b" ")) * (stop - start) + content[stop:]


def overwrite_length(content: bytes, rng: random.Random) -> bytes:
    """A little-endian whole number, often near the front, where headers keep sizes."""
    width = rng.choice((2, 4, 8))
    start = rng.randrange(1 + max(0, min(len(content), rng.choice((16, 256, 1 << 30))) - width))
    value = rng.choice((0, 1, 255, (1 << 8 * width - 1) - 1, 1 << 8 * width - 1, (1 << 8 * width) - 1, 1 << 31, 10**9))
    return content[:start] + (value % (1 << 8 * width)).to_bytes(width, "little") + content[start + width :]


def change_number(content: bytes, rng: random.Random) -> bytes:
    """A decimal number of a text."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content))
    if not found:
        return flip_bits(content, rng)
    at = rng.choice(found)
    return content[: at.start()] + rng.choice(NUMBERS) + content[at.end() :]


def insert_text(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    text = rng.choice((b"\xff\xfe", b"\xed\xa0\x80", b"\n", b"[" * DEEP, b"{", b'"', *map(str.encode, TEXTS)))
    return content[:at] + text + content[at:]


def change_line(content: bytes, rng: random.Random) -> bytes:
    """A line is removed, doubled, moved or emptied."""
    lines = content.splitlines(keepends=True) or [b""]
    at = rng.randrange(len(lines))
    line = lines.pop(at)
    for _ in range(rng.choice((0, 1, 2, 1000))):
        lines.insert(rng.choice((at, rng.randrange(len(lines) + 1))), rng.choice((line, line, b"\n")))
    return b"".join(lines)


def replace_whole(content: bytes, rng: random.Random) -> bytes:
    """Another kind of file altogether."""
    starts = (b"", b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"MATLAB 5.0 MAT-file", b"\x80\x04", b"null")
    return rng.choice(starts) + rng.choice((b"", content, b"\n", rng.randbytes(100), b"[" * DEEP, b"(" * DEEP))


def _slice(content: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice((1, 2, 4, 16, 100, 1000, len(content))))


BYTES: dict[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        *(flip_bits, truncate, remove_slice, double_slice, swap_slices, overwrite_slice, overwrite_length),
        *(change_number, insert_text, change_line, replace_whole),
    )
}
