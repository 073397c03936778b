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
from ssl_skel.view.draw.html import points
from ssl_skel.view.draw.pages import search_page, store_page, write_page
from ssl_skel.view.draw.tables import confusion_table, share_table


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
    assert Elements(store_page(evil, [hit], evil)).count["script"] == 2


def test_no_page_names_an_address(shown: list[RenderableClip]) -> None:
    text = search_page(shown[0], shown[1:5])
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", re.sub(r'"joints":"[^"]*"', "", text))


def test_fifty_long_clips_of_two_persons_stay_below_five_megabytes() -> None:
    joints = np.random.default_rng(0).normal(size=(2, 300, 25, 3))
    clips = [RenderableClip(f"clip {at}", joints, LAYOUTS["ntu25"]) for at in range(50)]
    assert len(search_page(clips[0], clips[1:]).encode()) < 5_000_000


def test_a_search_without_hits_says_so(shown: list[RenderableClip]) -> None:
    assert "Nothing was found." in search_page(shown[0], [])


def test_a_second_person_is_in_the_legend_only_where_there_is_one(shown: list[RenderableClip]) -> None:
    single, double = shown[:2]
    empty = replace(double, joints=np.array(double.joints))
    empty.joints[1] = np.nan
    assert "second person" in search_page(single, [double])
    assert "second person" not in search_page(single, [empty])
    hand = RenderableClip("hand", np.zeros((1, 2, 21, 3)), LAYOUTS["hand21"])
    assert "left limbs" in search_page(single, [hand])
    assert "left limbs" not in search_page(hand, [])  # one hand has no sides


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


def test_a_confusion_matrix_has_recall_in_per_cent_and_totals() -> None:
    text = confusion_table(np.array([[3, 1, 0], [0, 2, 6], [0, 0, 0]]), ["a", "b", "<c>"], "clips")
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    cells = [re.findall(r"<td[^>]*>(?:<button[^>]*>)?(\d*)", row) for row in rows[1:]]
    assert cells == [["75", "25", "", "4"], ["", "25", "75", "8"], ["3", "3", "6", "12"]]  # no clip is of class c
    assert re.findall(r'class="(h\d[^"]*)"', text) == ["h7 own", "h2", "h0", "h0", "h2 own", "h7"]
    assert "true / predicted" in rows[0]
    assert "b predicted as &lt;c&gt;: 6 of 8 clips" in text
    assert "<button" not in confusion_table(np.eye(2, dtype=int), ["a", "b"])


def test_shares_are_coloured_about_an_even_one() -> None:
    text = share_table(np.array([[1.0, 1.05, 2.0], [0.5, 0.01, 1.3]]), ["x", "y"], ["a", "b", "c"], "", numbers=True)
    assert re.findall(r"<td( class=\"[a-z0-9]+\")?>([\d.]+)", text) == [
        ("", "1.00"),
        ("", "1.05"),
        (' class="more4"', "2.00"),
        (' class="less4"', "0.50"),
        (' class="less4"', "0.01"),
        (' class="more2"', "1.30"),
    ]


def test_points_fill_the_map_and_are_coloured_by_what_differs(shown: list[RenderableClip]) -> None:
    facts = [{"class": "a", "camera": "1"}, {"class": "b", "camera": "1"}, {"camera": "1"}]
    clips = [replace(clip, facts=fact) for clip, fact in zip(shown, facts, strict=False)]
    found = points(np.array([[0.0, 10.0], [4.0, 20.0], [2.0, 20.0]]), clips, first=7)
    assert found["x"] == [0.0, 1.0, 0.5]
    assert found["y"] == [1.0, 0.0, 0.0]  # a picture's y grows downwards
    assert found["clip"] == [7, 8, 9]
    assert found["colours"] == {"class": ["a", "b", "unknown"]}
    assert points(np.zeros((1, 2)), clips[2:])["colours"] == {"class": ["unknown"]}
