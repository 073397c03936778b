"""The page of an audit: it plays what was found, pairs side by side, and stays small."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_skel.data.audit.inspection import audit
from ssl_skel.data.clip import RawClip
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.view.audit import page_of_audit
from ssl_skel.view.draw.clips import unpack


@pytest.fixture(scope="module")
def damaged(motions: Path, tmp_path_factory: pytest.TempPathFactory, evil: str) -> Store:
    """Built-in motions, 30 of which are there twice and 40 of which jump; one has a name that would act."""
    store, path = Store.open(motions), tmp_path_factory.mktemp("damaged") / "store"
    with StoreWriter(path, store.layout, store.class_names, normalization=store.normalization) as writer:
        for row in range(40):
            joints, told = store.clip(row), {"label": int(store.label[row]), "subject": int(store.subject[row])}
            name = evil if row == 0 else str(store.name[row])
            writer.add(RawClip(name, joints, **told))
            if row < 30:
                writer.add(RawClip(f"copy{row}", joints, **told), 1000 + row)
            jump = np.concatenate([np.repeat(joints, 8, 1), np.repeat(joints + np.float32([2, 0, 0]), 8, 1)], 1)
            writer.add(RawClip(f"jump{row}", jump, **told))
    return Store.open(path)


@pytest.fixture(scope="module")
def html(damaged: Store) -> str:
    return page_of_audit(damaged, audit(damaged.path, progress=False))


def data_of(html: str) -> dict[str, Any]:
    found = re.search('<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_each_kind_shows_its_worst_clips_and_pairs_stand_together(html: str, damaged: Store) -> None:
    assert "jump: 6 of 40</h3>" in html
    assert "Copies: 6 of 30</h3>" in html
    assert html.count('class="grid"') >= 7  # each pair is a row of its own
    assert "by_subject" in html  # a store without splits says which there are
    assert len(html.encode()) < 2_000_000
    clips = data_of(html)["clips"]
    jump = next(clip for clip in clips if clip["name"].startswith("jump") and "frames shown" in clip["facts"])
    assert float(jump["facts"]["metres"]) > 1
    first, last = map(int, re.findall(r"\d+", jump["facts"]["frames shown"])[:2])
    frame = int(re.findall(r"frame (\d+)", jump["facts"]["where"])[0])
    assert first < frame < last
    moved = np.abs(np.diff(unpack(jump)[..., 0], axis=1)).mean((0, 2))
    assert moved.argmax() == frame - first - 1


def test_it_plays_in_a_browser_at_any_width(
    html: str, visit: Callable[..., Any], until: Callable[..., None], evil: str
) -> None:
    page = visit(html)
    page.evaluate("document.querySelector('canvas[data-clip]').scrollIntoView()")
    before = page.evaluate("document.querySelector('canvas[data-clip]').toDataURL()")
    until(page, "(old) => document.querySelector('canvas[data-clip]').toDataURL() !== old", before)
    assert page.title() == "Audit of store"
    assert page.locator("text=Copies: 6 of 30").count() == 1
    assert evil in page.content() or evil in page.evaluate("document.body.textContent")
    page.set_viewport_size({"width": 375, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
