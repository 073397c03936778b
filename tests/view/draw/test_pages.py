"""Pages as text: everything escaped, no address in them, sizes kept, nothing written over."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.html import heat_table, points
from ssl_skel.view.draw.pages import search_page, store_page, write_page


class Elements(HTMLParser):
    """Counts elements and notes attributes that could act or fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.acting: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.acting += [name for name, _ in attrs if name.startswith("on") or name in ("src", "href", "style")]


def test_names_and_facts_are_text(shown: list[RenderableClip], evil: str) -> None:
    hit = replace(shown[0], name=evil, facts={evil: evil})
    plain = Elements(search_page(shown[0], shown[1:3]))
    found = Elements(search_page(hit, [hit, hit], evil))
    assert found.count["script"] == plain.count["script"] == 2
    assert "img" not in found.count
    assert found.count["article"] == plain.count["article"] == 3
    assert found.acting == []
    assert Elements(store_page(evil, {evil: [hit]}, evil)).count["script"] == 2


def test_no_page_names_an_address(shown: list[RenderableClip]) -> None:
    text = search_page(shown[0], shown[1:5])
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", re.sub(r'"joints":"[^"]*"', "", text))


def test_fifty_long_clips_of_two_persons_stay_below_five_megabytes() -> None:
    joints = np.random.default_rng(0).normal(size=(2, 300, 25, 3))
    clips = [RenderableClip(f"clip {at}", joints, LAYOUTS["ntu25"]) for at in range(50)]
    assert len(search_page(clips[0], clips[1:]).encode()) < 5_000_000


def test_a_search_without_hits_says_so(shown: list[RenderableClip]) -> None:
    assert "Nothing was found." in search_page(shown[0], [])


def test_a_store_is_shown_by_class(shown: list[RenderableClip]) -> None:
    text = store_page("motions", {"first": shown[:2], "second": shown[2:3]}, "what one sees")
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["first", "second"]
    assert re.findall(r'data-clip="(\d+)"', text) == ["0", "1", "2"]


def test_writing(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, "one")
    with pytest.raises(UserError, match=r"page.html: exists already; .*--overwrite"):
        write_page(path, "two")
    assert path.read_text() == "one"
    write_page(path, "two", overwrite=True)
    assert path.read_text() == "two"
    for bad, told in ((tmp_path, "is a folder"), (tmp_path / "none" / "page.html", "cannot be written")):
        with pytest.raises(UserError, match=told):
            write_page(bad, "three", overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_a_heat_table_is_darkest_where_most_is() -> None:
    text = heat_table(np.array([[0.0, 4.0], [1.0, 8.0]]), ["a", "b"], ["c", "<d>"], diagonal=True)
    assert re.findall(r'class="(h\d[^"]*)"', text) == ["h0 own", "h5", "h1", "h9 own"]
    assert "&lt;d&gt;" in text
    assert 'class="h0"' in heat_table(np.zeros((1, 1)), ["a"], ["b"], texts=[["0"]])


def test_points_fill_the_map() -> None:
    found = points(np.array([[0.0, 10.0], [4.0, 20.0], [2.0, 20.0]]), np.array([0, 1, -1]), first=7)
    assert found["x"] == [0.0, 1.0, 0.5]
    assert found["y"] == [1.0, 0.0, 0.0]  # a picture's y grows downwards
    assert found["clip"] == [7, 8, 9]
    assert points(np.zeros((2, 2)), np.array([0, 0]))["x"] == [0.0, 0.0]
