"""What is printed for people: tables and lines, or JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ssl_skel.escaping import show_json, shown

_NO_BREAK = 100_000
_PLAIN: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
_IN_A_LINE = 4  # values
_WHOLE = 1000.0  # from here on decimals mean nothing


def render(what: RenderableType) -> None:
    """Print a table, a tree or a text; nothing in it is read as markup.

    It is as wide as the terminal; in a file or a pipe no line is broken, and none ends in blanks.
    """
    if sys.stdout.isatty():
        Console(**_PLAIN).print(what)
        return
    console = Console(width=_NO_BREAK, **_PLAIN)
    with console.capture() as captured:
        console.print(what)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def show_facts(facts: dict[str, Any], as_json: bool = False) -> None:
    """Print facts, one per line, with nested ones indented below their name; or as JSON.

    Args:
        facts: name -> number, text, list or mapping of such; ``_`` in a name is printed as a blank.
        as_json: print them as they are instead.
    """
    if as_json:
        show_json(facts)
    else:
        show_table([], list(_rows(facts)))


def show_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", numbers: Collection[str] = ()
) -> None:
    """Print a table without rules, its cells as they are.

    Args:
        header: names of the columns; empty for a table without a header.
        rows: cells, one list per row.
        title: printed above it.
        numbers: columns of numbers, which are aligned to the right.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=bool(header), title_justify="left")
    table.title = Text(shown(title)) if title else None
    for name in header:
        table.add_column(Text(shown(name)), justify="right" if name in numbers else "left")
    for row in rows:
        table.add_row(*map(shown, row))
    render(table)


def _rows(facts: dict[str, Any], indent: str = "") -> Iterator[list[str]]:
    """Name and value; a mapping gets rows of its own where a line would not hold it."""
    for key, value in facts.items():
        name = f"{indent}{key}" if indent else str(key).replace("_", " ")  # below may be names of classes
        if isinstance(value, dict) and (len(value) > _IN_A_LINE or any(map(_is_nested, value.values()))):
            yield [name, ""]
            yield from _rows(value, f"{indent}  ")
        elif isinstance(value, list) and any(map(_is_nested, value)):
            yield [name, f"{len(value):,}"]
            yield from ([f"{indent}  ", _line(one)] for one in value)
        else:
            yield [name, _line(value)]


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_line(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_line(inner) for inner in value) or "none"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.3g}"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:,}" if isinstance(value, int) else str(value)
