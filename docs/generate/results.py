"""Tables of figures, from ``results/*.json`` into the pages: ``python docs/generate/results.py`` writes them.

A page has a pair of comments for each table, ``<!-- results: pretexts/linear -->`` and ``<!-- end -->``; what stands
between them is replaced. ``FILE/TABLE`` is a table of ``results/FILE.json``: rows of figures with the names of their
commands. ``tables/TABLE`` is one of ``tables.yaml``, whose cells are figures of evaluations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs/results.md", ROOT / "docs/speed.md"]
_BLOCK = re.compile(r"(<!-- results: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

Figure = Any  # a number, {mean, std, note}, {seeds: [...]}, or None where nothing was measured


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        title: its first cell.
        cells: figures of each column; several where a column has parts.
        commands: what it takes to measure them, in order.
    """

    title: str
    cells: list[list[Figure]]
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        first: head of its first column.
        columns: heads of the others.
        best: ``column`` or ``row``: where the largest figure stands out; None: nowhere.
        rows: its lines.
    """

    first: str
    columns: list[str]
    best: str | None
    rows: list[Row]

    def markdown(self) -> str:
        """The table with its commands folded away under it."""
        best = self._best()
        lines = [f"| {self.first} | {' | '.join(self.columns)} |", "|:--|" + "--:|" * len(self.columns)]
        for number, row in enumerate(self.rows):
            cells = [_shown(cell, best.get((number, column), [])) for column, cell in enumerate(row.cells)]
            lines.append(f"| {row.title} | {' | '.join(cells)} |")
        return "\n".join([*lines, *self._commands()]) + "\n"

    def _best(self) -> dict[tuple[int, int], list[bool]]:
        """(row, column) -> for each part whether it is the largest."""
        found: dict[tuple[int, int], list[bool]] = {}
        for number, row in enumerate(self.rows):
            for column, cell in enumerate(row.cells):
                rivals = row.cells if self.best == "row" else [other.cells[column] for other in self.rows]
                found[number, column] = [
                    self.best is not None and _value(part) is not None and _value(part) == _largest(rivals, at)
                    for at, part in enumerate(cell)
                ]
        return found

    def _commands(self) -> list[str]:
        """Each command once, under the rows that need it."""
        lines = dict.fromkeys(line for row in self.rows for line in row.commands)
        if not lines:
            return []
        titles = {line: [row.title for row in self.rows if line in row.commands] for line in lines}
        shown = ["", "<details><summary>Commands</summary>", "", "```"]
        for rows, commands in groupby(lines, titles.__getitem__):
            shown += [f"# {'all rows' if len(rows) == len(self.rows) else '; '.join(rows)}", *commands]
        return [*shown, "```", "", "</details>"]


def table(name: str) -> Table:
    """The table of a name, such as ``pretexts/linear`` or ``tables/forms``."""
    file, _, inner = name.partition("/")
    return _looked_up(_specified()[inner]) if file == "tables" else _written(_read(file), inner)


def filled(text: str) -> str:
    """A page with all its tables."""
    return _BLOCK.sub(lambda found: f"{found[1]}{table(found[2]).markdown()}{found[3]}", text)


@cache
def _read(name: str) -> Any:
    return json.loads((ROOT / f"results/{name}.json").read_text("utf-8"))


@cache
def _specified() -> Any:
    return yaml.safe_load((Path(__file__).parent / "tables.yaml").read_text("utf-8"))


def _written(file: Mapping[str, Any], name: str) -> Table:
    """A table of figures that a file lists."""
    spec = file["tables"][name]
    rows = [
        Row(
            row["name"],
            [cell if isinstance(cell, list) else [cell] for cell in row["figures"]],
            tuple(line for command in row["commands"] for line in file["commands"][command]),
        )
        for row in spec["rows"]
    ]
    return Table(spec["first"], spec["columns"], spec.get("best"), rows)


def _looked_up(spec: Mapping[str, Any]) -> Table:
    """A table of figures of evaluations."""
    rows = []
    for row in spec["rows"]:
        path = row.get("cell", spec["cell"])
        paths = [[path.format(**column, **row, **part) for part in spec["parts"]] for column in _without(spec)]
        commands = dict.fromkeys(line for cell in paths for path in cell for line in _evaluation(path))
        if "commands" in spec:
            commands.clear()
        cells = [[_figure(path) for path in cell] for cell in paths]
        rows.append(Row(row["title"], [cell if any(map(_value, cell)) else [None] for cell in cells], tuple(commands)))
    return Table(spec["first"], [column["title"] for column in spec["columns"]], spec.get("best"), rows)


def _without(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in column.items() if key != "title"} for column in spec["columns"]]


def _figure(path: str) -> Figure:
    """What a path leads to; None where nothing is."""
    file, number, *keys = path.split("/")
    if not number.isdigit():
        listed, (row, column) = _read(file)["tables"][number], keys
        (cells,) = [one["figures"] for one in listed["rows"] if one["name"] == row]
        return cells[listed["columns"].index(column)]
    found = _read(file)["evaluations"][int(number)]
    for key in keys:
        if key not in found:
            return None
        found = found[key]
    return found


def _evaluation(path: str) -> list[str]:
    """The commands of the evaluation that a path leads into: store, pretraining, evaluation."""
    file, number, *_ = path.split("/")
    if not number.isdigit() or _figure(path) is None:
        return []
    found = _read(file)["evaluations"][int(number)]
    pretraining = found.get("pretraining", _read(file).get("pretraining"))
    return [line for line in (found.get("store"), *_commands_in(pretraining), found["command"]) if line]


def _commands_in(what: Any) -> list[str]:
    """All commands of a file's ``pretraining``: a command, a mapping that has one, or several of these."""
    if isinstance(what, str):
        return [what]
    if isinstance(what, Mapping):
        return [what["command"]] if "command" in what else _commands_in(list(what.values()))
    return [line for one in what or [] for line in _commands_in(one)]


def _value(figure: Figure) -> float | None:
    if isinstance(figure, Mapping):
        return float(figure["mean"]) if "mean" in figure else sum(figure["seeds"]) / len(figure["seeds"])
    return figure


def _largest(cells: list[list[Figure]], part: int) -> float | None:
    values = [_value(cell[part]) for cell in cells if part < len(cell)]
    return max((value for value in values if value is not None), default=None)


def _shown(cell: list[Figure], best: list[bool]) -> str:
    """A cell as text, such as ``66.9 ± 1.0 / **58.3**``."""
    return " / ".join(f"**{text}**" if bold else text for text, bold in zip(map(_text, cell), best, strict=True))


def _text(figure: Figure) -> str:
    if figure is None:
        return "-"
    if not isinstance(figure, Mapping):
        return str(float(figure))
    if "seeds" in figure:
        return ", ".join(map(_text, figure["seeds"]))
    spread = f" ± {figure['std']}" if "std" in figure else ""
    note = f" ({figure['note']})" if "note" in figure else ""
    return f"{_text(figure['mean'])}{spread}{note}"


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text("utf-8")), "utf-8")
