"""Run pages: what is confused most, what stands in them, and what they say is missing."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.run_pages import Compared, Curves, Failure, Recipe, run_page, worst

CONFUSION = np.array([[5, 2, 0], [4, 1, 2], [0, 0, 0]])


@pytest.fixture
def compared(shown: list[RenderableClip]) -> Compared:
    failures = [Failure(shown[4], shown[5:8], "a, predicted as b (2 of 7); for example:")]
    places = np.array([[0.0, 0], [1, 0], [0, 1], [2, 2]])
    return Compared(
        "50 % are right.", ("a", "b", "c <d>"), CONFUSION, shown[:4], np.array([0, 0, 1, 1]), places, failures
    )


def test_the_worst_confusions_come_first() -> None:
    assert worst(CONFUSION) == [(1, 0, 4), (0, 1, 2), (1, 2, 2)]
    assert worst(CONFUSION, 1) == [(1, 0, 4)]
    assert worst(np.diag([3, 4])) == []


def test_a_run_page_holds_its_parts(compared: Compared) -> None:
    recipe = Recipe({"seed": "3"}, "name: <x>")
    text = run_page("a run", {"method": "psp"}, Curves(["<figure></figure>"]), [], compared, recipe)
    assert re.findall(r"<h2>(.*?)</h2>", text) == [
        "Map of the movements",
        "Confusion matrix",
        "Most frequent confusions",
        "Errors",
        "Test clips",
        "Training",
        "How it was made",
    ]
    assert "4 of the 14 clips are on this page." in text
    assert "<dt>seed</dt><dd>3</dd>" in text
    assert ">name: &lt;x&gt;</pre>" in text
    assert "<td>b</td><td>a</td><td>4 of 7</td>" in text
    assert re.findall(r'data-clip="(\d+)"', text) == ["4", "5", "6", "7"]  # 0 to 3 are the map's
    assert '"clip":[0,1,2,3]' in text
    assert "c &lt;d&gt;" in text


def test_what_is_missing_is_said(compared: Compared) -> None:
    text = run_page("a run", {}, Curves(), ["the map, for <no> store"], None, Recipe({}))
    assert "Missing here:</strong> the map, for &lt;no&gt; store" in text
    assert "canvas" not in re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.S)
    small = run_page("a run", {}, Curves(), [], replace(compared, places=None, failures=[]), Recipe({}))
    assert "Map of" not in small
    assert "Errors" not in small
    none = run_page("a run", {}, Curves(), [], replace(compared, confusion=np.diag([3, 4, 0])), Recipe({}))
    assert "Nothing was confused." in none
