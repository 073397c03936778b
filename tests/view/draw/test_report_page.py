"""The page of an evaluation: its tables, its matrix, and the clips where they are given."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from ssl_skel.evaluation.metrics import score
from ssl_skel.evaluation.report import Measurement, Report, SplitFacts
from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.report_page import Leading, report_page
from ssl_skel.view.draw.run_pages import Recipe


@pytest.fixture
def report() -> Report:
    truth = np.arange(20) % 2
    scores = score(truth, np.where(np.arange(20) < 18, truth, 1 - truth), 2)
    return Report(
        name="evaluation",
        store="stores/x",
        sha256="ab",
        class_names=("wave", "clap"),
        splits=(SplitFacts(name="xview", train=4, test=20, warnings=("5 clips were seen",)),),
        measurements=(Measurement.of("xview", "pretrained", "linear, cached", [scores, scores]),),
        command="ssl-skel finetune x.yaml 'a=<b>'",
    )


def test_a_report_page_holds_its_parts(report: Report) -> None:
    leading = Leading("Of two <runs>.", np.array([[18, 2], [2, 18]]), missing="the clips, for <no> store")
    text = report_page(report, Recipe({"command": report.command}), leading)
    assert "5 clips were seen" in text
    assert "Of two &lt;runs&gt;." in text
    assert "Missing here:</strong> the clips, for &lt;no&gt; store" in text
    assert "ssl-skel finetune x.yaml &#x27;a=&lt;b&gt;&#x27;" in text
    assert re.findall(r'<td class="h[^>]*>(\d*)</td>', text) == ["90", "10", "10", "90"]
    assert text.count("<td>20</td>") == 4  # of two runs, by row and by column
    assert "Confusion matrix" not in report_page(report, Recipe({}), None)


def test_cells_lead_to_the_clips(report: Report, shown: list[RenderableClip]) -> None:
    clip = replace(shown[0], facts={"class": "wave", "predicted": "clap"})
    leading = Leading("Half.", np.array([[1, 1], [0, 2]]), [clip], total=4)
    text = report_page(report, Recipe({}), leading)
    assert "1 of 4 answers are on this page." in text
    assert text.count('<button class="cell" data-gallery-of="clips"') == 3
    assert '"galleries":{"clips":[0]}' in text
