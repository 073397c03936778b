"""The table over evaluations as markdown, CSV, LaTeX or JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ssl_skel.escaping import inert, shown
from ssl_skel.experiments.comparison import Row

_TEXT = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
} | {char: "\\" + char for char in "&%$#_{}"}  # fmt: skip


@dataclass(frozen=True)
class _Marks:
    """Short marks by which cells refer to the notes below the table.

    Attributes:
        numbers: of the evaluations that a row is from, (runs, commands) -> 1, 2, ...
        letters: of warnings: a, b, ...
        ambiguous: names that several stores share.
    """

    numbers: dict[tuple[tuple[str, ...], tuple[str, ...]], int]
    letters: dict[str, str]
    ambiguous: frozenset[str]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> _Marks:
        """Rows that rest on the same evaluations share a number."""
        evaluations = dict.fromkeys((row.runs, row.commands) for row in rows)
        warnings = dict.fromkeys(warning for row in rows for warning in row.warnings)
        stores = Counter(name for name, _ in {(row.store, row.sha256) for row in rows})
        return cls(
            {key: number for number, key in enumerate(evaluations, 1)},
            {warning: _letters(at) for at, warning in enumerate(warnings)},
            frozenset(name for name, count in stores.items() if count > 1),
        )

    def store(self, row: Row) -> str:
        return f"{row.store} ({row.sha256[:8]})" if row.store in self.ambiguous else row.store

    def split(self, row: Row) -> str:
        return f"{row.split} {''.join(f'[{self.letters[warning]}]' for warning in row.warnings)}".strip()


_COLUMNS: dict[str, Callable[[Row, _Marks], str]] = {
    "#": lambda row, marks: str(marks.numbers[row.runs, row.commands]),
    "pretext": lambda row, _: row.pretext,
    "encoder": lambda row, _: row.encoder or "-",
    "store": lambda row, marks: marks.store(row),
    "split": lambda row, marks: marks.split(row),
    "clips": lambda row, _: "-" if row.train is None else f"{row.train} / {row.test}",
    "protocol": lambda row, _: row.protocol,
    "accuracy, %": lambda row, _: str(row.accuracy),
    "n": lambda row, _: f"{row.accuracy.count} folds" if row.accuracy.over == "folds" else str(row.accuracy.count),
    "macro F1, %": lambda row, _: row.measurement.cell("macro_f1") or "-",
    "baselines, %": lambda row, _: "; ".join(f"{name} {figure}" for name, figure in row.baselines.items()) or "-",
    "published, %": lambda row, _: "; ".join(map(str, row.published)) or "-",
}
"""Title of each column -> the text of its cell in a row."""


@dataclass(frozen=True)
class Page:
    """The table as text.

    Attributes:
        cells: one list per row, in the order of ``_COLUMNS``.
        warnings: footnotes ``[a]``, ``[b]``, ..., which cells refer to.
        sources: of published figures.
        origins: of each row, the run it is from and the command that repeats it.
    """

    cells: list[list[str]]
    warnings: dict[str, str]
    sources: list[str]
    origins: list[tuple[str, str]]


def page(rows: Sequence[Row]) -> Page:
    """Rows as text, with the notes that their cells refer to."""
    marks = _Marks.of(rows)
    return Page(
        cells=[[shown(cell(row, marks)) for cell in _COLUMNS.values()] for row in rows],
        warnings={letter: shown(warning) for warning, letter in marks.letters.items()},
        sources=list(dict.fromkeys(anchor.cite() for row in rows for anchor in row.published)),
        origins=[
            (shown(f"{number}. {run}"), shown(command))
            for (runs, commands), number in marks.numbers.items()
            for run, command in zip(runs, commands, strict=True)
        ],
    )


def to_markdown(rows: Sequence[Row]) -> str:
    """A page: the table, footnotes, sources, commands."""
    found = page(rows)
    table = [[cell.replace("|", "\\|") for cell in row] for row in (list(_COLUMNS), *found.cells)]
    width = [max(len(row[at]) for row in table) for at in range(len(_COLUMNS))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, width, strict=True)) + " |" for row in table]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in width) + "|")
    parts = ["\n".join(lines), "± is the sample standard deviation over n values: seeds, draws, or folds where noted."]
    parts += ["\n".join(f"- [{letter}] **Warning**: {text}" for letter, text in found.warnings.items())]
    parts += ["\n".join(["Published:", "", *(f"- {line}" for line in found.sources)])] if found.sources else []
    parts += ["\n".join(["Made by:", "", *(f"- {run}: `{command}`" for run, command in found.origins)])]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_latex(rows: Sequence[Row]) -> str:
    """A ``tabular`` and its footnotes; needs no package."""
    found = page(rows)
    body = [" & ".join(map(_latex, row)) + r" \\" for row in found.cells]
    lines = ["% " + " ".join(f"{run}: {command}".split()) for run, command in found.origins]
    lines += [r"\begin{tabular}{" + "l" * len(_COLUMNS) + "}", r"\hline", " & ".join(map(_latex, _COLUMNS)) + r" \\"]
    lines += [r"\hline", *body, r"\hline", r"\end{tabular}"]
    notes = [f"[{letter}] {text}" for letter, text in found.warnings.items()] + found.sources
    lines += [rf"\par\footnotesize {_latex(note)}" for note in notes]
    return "\n".join(lines) + "\n"


def to_csv(rows: Sequence[Row]) -> str:
    """One line per row; figures are shares between 0 and 1. Text that a spreadsheet would compute begins with ``'``."""
    text = io.StringIO()
    records = [_record(row) for row in rows]
    fields = list(dict.fromkeys(name for record in records for name in record))
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writerow({name: inert(name) for name in fields})
    writer.writerows({name: inert(value) for name, value in record.items()} for record in records)
    return text.getvalue()


def to_json(rows: Sequence[Row]) -> str:
    """A list of rows with all their figures, as shares between 0 and 1; published ones are in per cent."""
    facts = [
        {name: getattr(row, name) for name in ("pretext", "encoder", "store", "sha256", "split", "train", "test")}
        | {"protocol": row.protocol, "features": row.measurement.features}
        | {"figures": {name: figure.model_dump() for name, figure in row.measurement.figures.items()}}
        | {"baselines": {name: figure.model_dump() for name, figure in row.baselines.items()}}
        | {"published": [anchor.model_dump(mode="json") for anchor in row.published]}
        | {"warnings": row.warnings, "notes": row.measurement.notes, "runs": row.runs, "commands": row.commands}
        for row in rows
    ]
    return json.dumps(facts, indent=2) + "\n"


FORMATS: dict[str, Callable[[Sequence[Row]], str]] = {
    "markdown": to_markdown,
    "csv": to_csv,
    "latex": to_latex,
    "json": to_json,
}
SUFFIXES = {".md": "markdown", ".csv": "csv", ".tex": "latex", ".json": "json"}


def _record(row: Row) -> dict[str, Any]:
    record: dict[str, Any] = {
        name: getattr(row, name)
        for name in ("pretext", "encoder", "store", "sha256", "split", "train", "test", "protocol")
    }
    for name, figure in row.measurement.figures.items():
        record |= {name: figure.mean, f"{name}_std": figure.std}
    record |= {"n": row.accuracy.count, "over": row.accuracy.over}
    for name, figure in row.baselines.items():
        record |= {f"baseline {name}": figure.mean, f"baseline {name}_std": figure.std}
    return record | {
        "published": "; ".join(map(str, row.published)),
        "warnings": "; ".join(row.warnings),
        "runs": "; ".join(row.runs),
        "commands": "; ".join(row.commands),
    }


def _latex(text: str) -> str:
    r"""Escape what LaTeX would read as a command.

    >>> print(_latex("xview_dedup & 5 %"))
    xview\_dedup \& 5 \%
    """
    return re.sub("[" + re.escape("".join(_TEXT)) + "]", lambda found: _TEXT[found[0]], text)


def _letters(at: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    return (_letters(at // 26 - 1) if at >= 26 else "") + chr(ord("a") + at % 26)
