"""The page of an evaluation: its tables, its confusion matrix and the clips behind that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from ssl_skel.evaluation.report import Report
from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.html import Scenes, document, gallery
from ssl_skel.view.draw.run_pages import Recipe, confusion_section
from ssl_skel.view.draw.tables import table


@dataclass(frozen=True, eq=False)
class Leading:
    """The answers for the best-informed features.

    Attributes:
        note: which they are, in words.
        confusion: (K, K) clips of class (row) taken for class (column).
        clips: their facts say ``class``, ``predicted`` and ``prediction``; empty where they are not at hand.
        total: how many there are; the page may show fewer.
        missing: why there are no clips, and how to get them.
    """

    note: str
    confusion: np.ndarray
    clips: Sequence[RenderableClip] = ()
    total: int = 0
    missing: str = ""


def report_page(report: Report, recipe: Recipe, leading: Leading | None) -> str:
    """What ``ssl-skel finetune`` measured: its tables, warnings, and the errors of the best-informed features.

    Args:
        report: of the evaluation.
        recipe: to make it again.
        leading: None where it holds no single runs.

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
    clips = leading.clips if leading else ()
    if leading is not None:
        if leading.missing:
            body.append(f"<p><strong>Missing here:</strong> {escape(leading.missing)}</p>")
        note = leading.note
        if 0 < len(clips) < leading.total:
            note += f" {len(clips):,} of {leading.total:,} answers are on this page."
        body.append(confusion_section(leading.confusion, report.class_names, note, "clips" if clips else ""))
    if clips:
        body += ["<h2>Test clips</h2><p>Wrong answers come first.</p>", gallery("clips")]
    body.append(recipe.html())
    intro = f"How well classifiers name movements from the features of the network. Reported is the {report.selection}."
    scenes = Scenes(galleries={"clips": range(len(clips))} if clips else {})
    return document(report.name, intro, "\n".join(body), clips, scenes=scenes, sync="time")
