"""Every kind of page passes axe-core's rules for WCAG 2.2 AA and good practice, in light and in dark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ssl_skel.evaluation.metrics import score
from ssl_skel.evaluation.report import Measurement, Report, SplitFacts
from ssl_skel.view.draw.attention_page import AttentionMaps, attention_page
from ssl_skel.view.draw.audit_page import Found, audit_page
from ssl_skel.view.draw.charts import line_chart
from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.pages import Reconstruction, reconstruction_page, search_page, store_page
from ssl_skel.view.draw.report_page import Leading, report_page
from ssl_skel.view.draw.run_pages import Compared, Curves, Failure, Recipe, index_page, run_page

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")


@pytest.fixture(scope="module")
def pages(shown: list[RenderableClip]) -> Mapping[str, str]:
    """One page of each kind."""
    facts = [{"class": label, "predicted": guess, "camera": "1"} for label, guess in ("aa", "ab", "bb", "bb")]
    clips = [replace(clip, facts=fact) for clip, fact in zip(shown, facts, strict=False)]
    kinds, places = np.array([0, 0, 1, 1]), np.array([[0.0, 0], [1, 0], [0, 1], [2, 2]])
    confusion = np.array([[1, 1], [0, 2]])
    compared = Compared("Half.", ("a", "b"), confusion, clips, kinds, places, [Failure(clips[1], clips[2:], "a as b")])
    lines = {"kNN": [(1.0, 0.2), (2.0, 0.3)], "linear": [(1.0, 0.4), (2.0, 0.3)]}
    chart = line_chart("accuracy", lines, percent=True, baselines={"raw": 0.25})
    recipe = Recipe({"seed": "0", "command": "ssl-skel pretrain x.yaml"}, "name: x\n" * 90)
    shares = np.random.default_rng(0).dirichlet(np.ones(25), (1, 4, 25))
    maps = AttentionMaps(shares, np.full((1, 4, 5, 5), 0.2), np.full((1, 4), 0.5))
    table = (("what", "value"), [("clips", "4")])
    found = Found("jump", "A joint jumps.", 9, [clips[:1], clips[1:2]])
    truth = np.arange(20) % 2
    report = Report(
        name="evaluation",
        store="x",
        sha256="ab",
        class_names=("a", "b"),
        splits=(SplitFacts(name="xview", train=4, test=20, warnings=("few clips",)),),
        measurements=(Measurement.of("xview", "raw", "linear", [score(truth, np.roll(truth, 3) * truth, 2)]),),
    )
    return {
        "search": search_page(clips[0], clips[1:]),
        "store": store_page("store", clips * 8, "All."),
        "run": run_page("run", {"method": "psp"}, Curves([chart], [chart]), ["curves"], compared, recipe),
        "report": report_page(report, recipe, Leading("Half.", confusion, clips, 9, "some clips")),
        "index": index_page("index", "All.", clips, places),
        "reconstruction": reconstruction_page("run", [Reconstruction(clips[0], clips[0], clips[0])], ""),
        "attention": attention_page("run: attention", clips[0], [maps, maps]),
        "audit": audit_page("store", table, table, ["one"], [found], [replace(found, remarks=["2 clips", "3 clips"])]),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_passes_axe(pages: Mapping[str, str], visit: Callable[..., Any], scheme: str) -> None:
    axe = axe_playwright.Axe()
    for kind, html in pages.items():
        page = visit(html, color_scheme=scheme, reduced_motion="reduce")
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        found = axe.run(page)
        assert found.violations_count == 0, f"{kind}, {scheme}:\n{found.generate_report()}"
        page.close()


def test_a_page_without_names_would_fail(visit: Callable[..., Any], shown: list[RenderableClip]) -> None:
    html = search_page(shown[0], shown[1:2])
    assert 'aria-label="Full screen' in html
    spoilt = html.replace('aria-label="Full screen', 'data-label="Full screen')
    found = axe_playwright.Axe().run(visit(spoilt))
    assert {one["id"] for one in found.response["violations"]} == {"button-name"}
