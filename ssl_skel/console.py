"""What is printed for people: tables and lines, or JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssl_skel.escaping import show_json, shown

_NO_BREAK = 100_000


def console() -> Console:
    """As wide as the terminal; in a file or a pipe no line is broken. No word is taken for markup or a figure."""
    width = None if sys.stdout.isatty() else _NO_BREAK
    return Console(width=width, markup=False, emoji=False, highlight=False)


def show_facts(facts: dict[str, Any], as_json: bool = False) -> None:
    """Print facts, one a line, or as JSON.

    Args:
        facts: name -> number, text, list or mapping of such; ``_`` in a name is printed as a blank.
        as_json: print them as they are instead.
    """
    if as_json:
        show_json(facts)
    else:
        show_table([], [[key.replace("_", " "), _line(value)] for key, value in facts.items()])


def show_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", numbers: Collection[str] = ()
) -> None:
    """Print a table without rules, its cells as they are.

    Args:
        header: names of the columns; empty for a table without a header.
        rows: cells, one list a row.
        title: printed above it.
        numbers: columns of numbers, which are aligned to the right.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=bool(header), title_justify="left")
    table.title = Text(shown(title)) if title else None
    for name in header:
        table.add_column(Text(shown(name)), justify="right" if name in numbers else "left")
    for row in rows:
        table.add_row(*map(shown, row))
    console().print(table)


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_line(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_line(inner) for inner in value) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
