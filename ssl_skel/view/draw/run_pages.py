"""Pages of runs, evaluations and indexes: how training went, which classes features separate, what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from ssl_skel.evaluation.report import Measurement, Report, kind_of
from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.html import card, document, fact_list, grid, heat_table, point_map, points, table


@dataclass(frozen=True, eq=False)
class Failure:
    """A clip that was taken for another class.

    Attributes:
        clip: that clip.
        nearest: what it was compared with, nearest first.
        note: what happened, in words.
    """

    clip: RenderableClip
    nearest: Sequence[RenderableClip]
    note: str


@dataclass(frozen=True, eq=False)
class Compared:
    """What the nearest neighbours of clips say of features.

    Attributes:
        note: how it was measured, and how well it went, in words.
        class_names: one a label.
        confusion: (K, K) clips of class (row) taken for class (column).
        clips: (N,) clips of the map, in order.
        kinds: (N,) their labels, -1 unknown.
        places: (N, 2) where they lie; None: too few for a map.
        failures: examples, worst first.
    """

    note: str
    class_names: Sequence[str]
    confusion: np.ndarray
    clips: Sequence[RenderableClip]
    kinds: np.ndarray
    places: np.ndarray | None
    failures: Sequence[Failure]


def run_page(
    title: str,
    facts: Mapping[str, str],
    charts: Sequence[str],
    notes: Sequence[str],
    compared: Compared | None,
    more: Sequence[str] = (),
) -> str:
    """Curves of a training, and the classes that its features separate.

    Args:
        title: name of the run.
        facts: what it was, such as method, data and time.
        charts: of ``line_chart``.
        notes: what is missing from the page, and what would bring it.
        compared: None where the encoder or its data are not at hand.
        more: charts for those who train networks; folded up.

    Returns:
        HTML text, for ``write_page``.
    """
    body = ["<h2>The run</h2>", fact_list(facts)]
    body += [f"<p><strong>Missing here:</strong> {escape(note)}</p>" for note in notes]
    if charts:
        body += [
            "<h2>How training went</h2>",
            '<p class="soft">Accuracies during training are for monitoring only; nothing is chosen by them.</p>',
            grid(charts, "charts"),
        ]
    if more:
        body.append(f"<details><summary>More curves, for those who train</summary>{grid(more, 'charts')}</details>")
    clips: list[RenderableClip] = []
    maps = {}
    if compared is not None:
        body.append(_confusion(compared.confusion, compared.class_names, compared.note))
        if compared.places is not None:
            maps["clips"] = points(compared.places, compared.kinds)
            clips += compared.clips
            body.append(_map(compared.class_names))
        body += _failures(compared.failures, clips)
    intro = "How this network was trained, and which movements it distinguishes, without being taught their names."
    return document(title, intro, "\n".join(body), clips, maps=maps, sync="time")


def index_page(
    title: str,
    intro: str,
    class_names: Sequence[str],
    clips: Sequence[RenderableClip],
    kinds: np.ndarray,
    places: np.ndarray,
) -> str:
    """Map of the movements in a search index.

    Args:
        title: name of the index.
        intro: what it holds, in words.
        class_names: one a kind.
        clips: (N,) its clips, or windows in them.
        kinds: (N,) their classes.
        places: (N, 2) where they lie.

    Returns:
        HTML text, for ``write_page``.
    """
    return document(title, intro, _map(class_names), clips, maps={"clips": points(places, kinds)}, sync="time")


def report_page(report: Report) -> str:
    """What ``ssl-skel finetune`` measured: its tables, warnings, and where the best-informed row errs.

    Returns:
        HTML text, for ``write_page``.
    """
    body = [
        f"<p><strong>Warning</strong>, {escape(facts.name)}: {escape(warning)}.</p>"
        for facts in report.splits
        for warning in facts.warnings
    ]
    for name, heading in (("accuracy", "Accuracy, %"), ("macro_f1", "Macro F1, %")):
        header, *rows = report.table(name)
        if rows:
            body += [f"<h2>{heading}</h2>", table(header, rows)]
    leading = _leading(report.measurements)
    if leading is not None:
        note = (
            f"{leading.features} features, {leading.measure}, split {leading.split}, summed over {len(leading.runs)} "
            f"{'run' if len(leading.runs) == 1 else 'runs'}."
        )
        body.append(_confusion(np.sum([run.confusion for run in leading.runs], 0), report.class_names, note))
    body += ["<h2>How it was made</h2>", f"<p><code>{escape(report.command)}</code></p>"]
    intro = (
        "How well simple classifiers name movements from what the network makes of them. "
        f"Reported is the {report.selection}."
    )
    return document(report.name, intro, "\n".join(body), [])


def worst(confusion: np.ndarray, limit: int = 8) -> list[tuple[int, int, int]]:
    """The most frequent confusions (class, taken for, clips), most first; equal counts in class order."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = [divmod(int(at), len(wrong)) for at in order]
    return [(row, column, int(wrong[row, column])) for row, column in pairs if wrong[row, column]]


def _map(class_names: Sequence[str]) -> str:
    return (
        "<h2>Map of the movements</h2><p>Each mark is one movement; marks lie close together where the network finds "
        "movements alike (t-SNE: who is near whom can be trusted, how far groups lie apart cannot). Point at a mark to "
        f"see its movement; press a class to see it alone.</p>{point_map('clips', class_names, 'Map of the movements')}"
    )


def _confusion(confusion: np.ndarray, names: Sequence[str], note: str) -> str:
    count = confusion.sum(1)
    kept = count > 0
    shares = confusion[kept] / count[kept, None]
    texts = [[str(value) if value else "" for value in row] for row in confusion[kept]]
    matrix = heat_table(
        shares,
        [name for name, keep in zip(names, kept, strict=True) if keep],
        names,
        texts=texts,
        corner="true ↓, predicted →",
    )
    rows = [(names[row], names[column], f"{number} of {count[row]}") for row, column, number in worst(confusion)]
    often = table(("true class", "predicted class", "clips"), rows) if rows else "<p>Nothing was confused.</p>"
    return (
        f"<h2>Confusion matrix</h2><p>{escape(note)} Each row is a true class; correct predictions are on "
        f"the diagonal.</p>{matrix}<h2>Most frequent confusions</h2>{often}"
    )


def _failures(failures: Sequence[Failure], clips: list[RenderableClip]) -> list[str]:
    """Rows of a failure and its neighbours; their clips are added to those of the page."""
    if not failures:
        return []
    parts = [
        "<h2>Errors</h2><p>On the left a misclassified clip; next to it the "
        "movements that the network finds most like it.</p>"
    ]
    for failure in failures:
        row = [failure.clip, *failure.nearest]
        first = len(clips)
        clips += row
        parts += [f"<p>{escape(failure.note)}</p>", grid([card(first + at, clip) for at, clip in enumerate(row)])]
    return parts


def _leading(measurements: Sequence[Measurement]) -> Measurement | None:
    """The first row with single runs of the best-informed kind of features."""
    for kind in ("pretrained", "scratch", "untrained", "raw"):
        for row in measurements:
            if row.runs and kind_of(row.features) == kind:
                return row
    return None
