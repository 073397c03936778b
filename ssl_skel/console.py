"""What is printed for people."""

from __future__ import annotations

import sys

from rich.console import Console

_NO_BREAK = 100_000


def console() -> Console:
    """As wide as the terminal; in a file or a pipe no line is broken. No word is taken for markup or a figure."""
    width = None if sys.stdout.isatty() else _NO_BREAK
    return Console(width=width, markup=False, emoji=False, highlight=False)
