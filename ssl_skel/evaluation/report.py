"""What an evaluation found, for machines (``report.json``) and for people (``report.md``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pydantic
from pydantic import AfterValidator, Field

from ssl_skel.config import Section
from ssl_skel.errors import UserError
from ssl_skel.escaping import shown
from ssl_skel.evaluation.measures import FigureName, MeasureName
from ssl_skel.evaluation.scores import Scores
from ssl_skel.files.atomic import write_text

GAIN = "gain over the strongest baseline"
_TITLES = {
    "accuracy": "Accuracy (top-1), %",
    "macro_f1": "Macro F1, %",
    "top5": "Top-5 accuracy, %",
    "interval": "95 % bootstrap interval of the accuracy over test clips, % (of several seeds: mean limits)",
    "ece": "Calibration error (ECE), %",
    "R@5": "Queries with a clip of their class among the first 5 found (R@5; R@1 is the accuracy), %",
    "R@10": "Queries with a clip of their class among the first 10 found (R@10), %",
    "mAP": "Mean average precision of retrieval (mAP), %",
    "nDCG@10": "Normalised discounted gain of the first 10 found (nDCG@10), %",
    "best_on_test": "Best epoch on the test clips, %",
}


class Figure(Section):
    """A share between 0 and 1, and how it spreads."""

    mean: float
    """Over seeds, or over folds."""

    std: float | None = None
    """Sample standard deviation; None for a single value."""

    count: int = 1
    """How many values."""

    over: Literal["seeds", "folds"] = "seeds"
    """What the values are."""

    @classmethod
    def of(cls, values: Sequence[float], over: Literal["seeds", "folds"] = "seeds") -> Self:
        """Mean and spread of values, at least one."""
        std = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return cls(mean=float(np.mean(values)), std=std, count=len(values), over=over)

    def pooled(self, other: Figure) -> Figure:
        """Mean and spread of the values behind both."""
        count = self.count + other.count
        mean = (self.count * self.mean + other.count * other.mean) / count
        squares = sum(
            (one.count - 1) * (one.std or 0.0) ** 2 + one.count * (one.mean - mean) ** 2 for one in (self, other)
        )
        return Figure(mean=mean, std=float(np.sqrt(squares / (count - 1))), count=count, over=self.over)

    def __str__(self) -> str:
        """In per cent, such as ``84.9`` or ``84.9 ± 0.4``."""
        return f"{100 * self.mean:.1f}" + ("" if self.std is None else f" ± {100 * self.std:.1f}")


def _with_accuracy(figures: dict[str, Figure]) -> dict[str, Figure]:
    if "accuracy" not in figures:
        raise ValueError("there is no accuracy")
    return figures


class Measurement(Section):
    """One kind of features, measured one way on one split."""

    split: str
    """Name of the split, or ``mean of folds``."""

    features: str
    """``raw`` and others of ``BASELINES``, ``untrained``, ``scratch`` (untrained, then trained with labels) or
    ``pretrained``, with a remark in brackets where there are several."""

    measure: MeasureName
    """Such as ``kNN, k = 1``."""

    figures: Annotated[dict[str, Figure], AfterValidator(_with_accuracy)]
    """accuracy and macro_f1; top5 and ece where scores exist; R@5, R@10, mAP and nDCG@10 of retrieval; best_on_test
    where epochs were evaluated (never the headline)."""

    runs: tuple[Scores, ...] = ()
    """Everything of each seed; empty for a mean of folds."""

    notes: tuple[str, ...] = ()
    """What a reader of these figures should know."""

    @classmethod
    def of(cls, split: str, features: str, measure: str, runs: Sequence[Scores], **others: Any) -> Self:
        """Sum up the scores of one or several seeds."""
        scored = [name for name in ("top5", "ece") if all(getattr(run, name) is not None for run in runs)]
        names = ("accuracy", "macro_f1", *scored)
        figures = {name: Figure.of([getattr(run, name) for run in runs]) for name in names}
        figures |= others.pop("figures", {})
        return cls(split=split, features=features, measure=measure, figures=figures, runs=tuple(runs), **others)

    @property
    def figure_name(self) -> FigureName:
        """What identifies it in a report."""
        return FigureName(self.split, self.features, self.measure)

    def pooled(self, other: Measurement) -> Measurement:
        """Both as one of all their runs; a figure that only one of them has is left out."""
        both = {name: self.figures[name].pooled(other.figures[name]) for name in self.figures if name in other.figures}
        notes = tuple(dict.fromkeys((*self.notes, *other.notes)))
        return self.model_copy(update={"figures": both, "runs": (*self.runs, *other.runs), "notes": notes})

    def cell(self, name: str) -> str:
        """A figure, or the ``interval`` of the accuracy, as tables show it; empty where there is none."""
        if name != "interval":
            return str(self.figures.get(name, ""))
        limits = [run.interval for run in self.runs if run.interval]
        return "-".join(f"{100 * np.mean(side):.1f}" for side in zip(*limits, strict=True))


class SplitFacts(Section):
    """What a split's figures rest on."""

    name: str
    """As in the store."""

    train: int
    """Training clips."""

    test: int
    """Test clips."""

    encoders: tuple[str, ...] = ()
    """Where the pretrained encoders came from, one per seed."""

    pretrained_on: str = ""
    """What they were pretrained on."""

    warnings: tuple[str, ...] = ()
    """Test clips that were seen before."""


class Report(Section):
    """A whole evaluation."""

    name: str
    """Name of the evaluation."""

    store: str
    """Folder of the store."""

    sha256: str
    """sha256 of the store's joints."""

    class_names: tuple[str, ...]
    """One per label."""

    splits: tuple[SplitFacts, ...]
    """In the order of the config."""

    measurements: tuple[Measurement, ...]
    """All figures."""

    selection: str = "last epoch"
    """Which of several epochs is reported."""

    command: str = ""
    """What made this report."""

    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of Python and of the packages that matter."""

    seconds: float = 0.0
    """Wall-clock time of the evaluation."""

    def figure(self, split: str, features: str, measure: str, name: str = "accuracy") -> Figure:
        """One figure.

        Raises:
            KeyError: it was not measured.
        """
        for row in self.measurements:
            if (row.split, row.features, row.measure) == (split, features, measure):
                return row.figures[name]
        raise KeyError(f"{split}, {features}, {measure}")

    def gain(self, split: str, measure: str) -> tuple[float, str] | None:
        """Mean accuracy of pretrained features minus that of the strongest baseline beside them, and its name.

        Baselines are all other features of the same split and measure; the first of equals is named. None where
        either side was not measured.
        """
        rows = [row for row in self.measurements if (row.split, row.measure) == (split, measure)]
        found = {row.features: row.figures["accuracy"].mean for row in rows}
        reached = [mean for name, mean in found.items() if kind_of(name) == "pretrained"]
        beside = {name: mean for name, mean in found.items() if kind_of(name) != "pretrained"}
        if not reached or not beside:
            return None
        strongest = max(beside, key=beside.__getitem__)
        return max(reached) - beside[strongest], strongest

    def save(self, folder: Path) -> None:
        """Write ``report.json`` and ``report.md``."""
        write_text(folder / "report.json", self.model_dump_json(indent=1) + "\n")
        write_text(folder / "report.md", self.to_markdown() + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read ``report.json`` back.

        Raises:
            UserError: it is missing or damaged.
        """
        path = folder / "report.json"
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; make it with ssl-skel finetune") from error
        except pydantic.ValidationError as error:
            raise UserError(f"{path}: is damaged or of another version; make it again") from error

    def table(self, name: str = "accuracy") -> list[list[str]]:
        """Header and rows of one figure: measure, features, and one column per split; no rows if nothing has it.

        Accuracies of a measure are followed by the gain over its strongest baseline.
        """
        columns = list(dict.fromkeys(row.split for row in self.measurements))
        measures = list(dict.fromkeys(row.measure for row in self.measurements))
        found = {(row.measure, row.features, row.split): row.cell(name) for row in self.measurements}
        if name == "accuracy":
            gains = {(measure, split): self.gain(split, measure) for measure in measures for split in columns}
            found |= {(at, GAIN, split): f"{100 * g[0]:+.1f} ({g[1]})" for (at, split), g in gains.items() if g}
        keys = dict.fromkeys(key[:2] for key, cell in found.items() if cell)
        body = [
            [*key, *(found.get((*key, column)) or "-" for column in columns)]
            for key in sorted(keys, key=lambda key: measures.index(key[0]))
        ]
        return [["measure", "features", *columns], *body]

    def show(self) -> None:
        """Print warnings and accuracies."""
        from rich.table import Table
        from rich.text import Text

        from ssl_skel.console import render

        header, *body = self.table()
        table = Table(title=Text(shown(f"{self.name}: {_TITLES['accuracy']}")), title_justify="left")
        for at, column in enumerate(header):
            side: Literal["left", "right"] = "left" if at < 2 else "right"
            table.add_column(shown(column), justify=side, overflow="fold", min_width=5)  # no figure loses a digit
        for row in _once(self._clips(header) + body):
            table.add_row(*map(shown, row), style="bold" if kind_of(row[1]) == "pretrained" else "")
        for where, warning in _warnings(self.splits):
            render(Text.assemble(("warning", "bold"), shown(f", {where}: {warning}")))
        render(table)

    def to_markdown(self) -> str:
        """The report as a page."""
        found = [f"> **Warning**, {where}: {warning}." for where, warning in _warnings(self.splits)]
        parts = [f"# {self.name}", *(["\n>\n".join(found)] if found else [])]
        for name, title in _TITLES.items():
            header, *body = self.table(name)
            if body:
                parts += [f"## {title}", _markdown(header, self._clips(header) * (name == "accuracy") + body)]
        parts += [self._classes(), self._provenance()]
        return "\n\n".join(part for part in parts if part)

    def _clips(self, header: list[str]) -> list[list[str]]:
        size = {facts.name: f"{facts.train} / {facts.test}" for facts in self.splits}
        return [["train / test clips", "", *(size.get(column, "") for column in header[2:])]]

    def _classes(self) -> str:
        """Accuracy of each class, of the best-informed row: pretrained where there is one, by the first measure."""
        kinds = {kind_of(row.features) for row in self.measurements}
        leading = next((kind for kind in ("pretrained", "scratch") if kind in kinds), "")
        chosen = {
            row.split: row for row in reversed(self.measurements) if row.runs and kind_of(row.features) == leading
        }
        rows = [chosen[facts.name] for facts in self.splits if facts.name in chosen]
        if not rows:
            return ""
        body = []
        for label, name in enumerate(self.class_names):
            values = [[run.per_class[label] for run in row.runs] for row in rows]
            shown = [
                str(Figure.of([v for v in value if v is not None])) if None not in value else "-" for value in values
            ]
            body.append([name, *shown, *_confused(self.class_names, label, rows)])
        header = ["class", *(row.split for row in rows), f"most often taken for ({rows[0].split})"]
        title = f"## Accuracy of each class, %: {rows[0].features}, {rows[0].measure}"
        return f"{title}\n\n{_markdown(header, body, left=(0, len(header) - 1))}"

    def _provenance(self) -> str:
        lines = [
            f"- Reported: {self.selection}. ± is the sample standard deviation over seeds, or over folds where noted.",
            f"- Store: `{self.store}`, sha256 {self.sha256[:16]}",
        ]
        for facts in self.splits:
            if facts.encoders:
                where = ", ".join(f"`{path}`" for path in facts.encoders)
                lines.append(f"- {facts.name}: encoder {where}, pretrained on {facts.pretrained_on}")
        notes: dict[str, list[str]] = {}
        for row in self.measurements:
            for note in row.notes:
                notes.setdefault(note, []).append(f"{row.split}/{row.features}/{row.measure}")
        for note, rows in notes.items():
            lines.append(f"- {note} ({', '.join(rows) if len(rows) <= 3 else f'{len(rows)} rows'})")
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        lines += [f"- Command: `{self.command}`", f"- {self.seconds:.0f} s; {versions}"]
        return "## How it was made\n\n" + "\n".join(lines)


def _warnings(splits: Sequence[SplitFacts]) -> list[tuple[str, str]]:
    """Splits that share a warning, in words, and the warning."""
    places: dict[str, list[str]] = {}
    for facts in splits:
        for warning in facts.warnings:
            places.setdefault(warning, []).append(facts.name)
    return [
        (f"all {len(splits)} splits" if 1 < len(splits) == len(names) else ", ".join(names), warning)
        for warning, names in places.items()
    ]


def kind_of(features: str) -> str:
    """What features are, without details.

    >>> kind_of("raw (Euclidean)"), kind_of("raw_box"), kind_of("pretrained")
    ('raw', 'raw', 'pretrained')
    """
    return features.split(" ")[0].split("_")[0]


def _once(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Rows without a first cell that repeats the one above."""
    above = [""] + [row[0] for row in rows]
    return [["" if row[0] == before else row[0], *row[1:]] for before, row in zip(above, rows, strict=False)]


def _confused(names: Sequence[str], label: int, rows: Sequence[Measurement]) -> list[str]:
    """The class that clips of one class are most often taken for, in the first split's runs."""
    wrong = np.sum([run.confusion[label] for run in rows[0].runs], axis=0)
    total = int(wrong.sum())
    wrong[label] = 0
    worst = int(wrong.argmax())
    return [f"{names[worst]} ({wrong[worst]} of {total})" if wrong[worst] else ""]


def _markdown(header: Sequence[str], body: Sequence[Sequence[str]], left: Sequence[int] = (0, 1)) -> str:
    """A table that is readable as text too; rows of pretrained features are bold."""
    rows = [list(header)]
    for row in _once(body):
        bold = len(row) > 1 and kind_of(row[1]) == "pretrained"
        rows.append([f"**{cell}**" if bold and cell and at else cell for at, cell in enumerate(row)])
    width = [max(len(row[at]) for row in rows) for at in range(len(header))]
    lines = [
        "| "
        + " | ".join(c.ljust(w) if at in left else c.rjust(w) for at, (c, w) in enumerate(zip(row, width, strict=True)))
        + " |"
        for row in rows
    ]
    rule = [":" + "-" * (w + 1) if at in left else "-" * (w + 1) + ":" for at, w in enumerate(width)]
    return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])
