"""The page of a search index: its map, whole clips and windows, and clips that are gone."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.retrieval.build import build_index
from ssl_skel.view import indexes
from ssl_skel.view.indexes import page_of_index


def test_every_clip_has_a_mark(done: Path, motions: Path, tmp_path: Path) -> None:
    store = Store.open(motions)
    build_index(done, motions, tmp_path / "index")
    page = page_of_index(tmp_path / "index")
    assert f"{len(store)} of the {len(store)} recorded movements" in page
    data = json.loads(re.findall(r'id="data">(.*?)</script>', page)[0])
    assert len(data["clips"]) == len(data["maps"]["clips"]["x"]) == len(store)
    assert data["maps"]["clips"]["colours"]["class"] == [store.class_names[label] for label in store.label]
    assert set(data["maps"]["clips"]["colours"]) == {"class", "subject", "camera"}


def test_windows_say_where_they_lie_and_lost_clips_are_named(
    done: Path, motions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "MARKS", 24)
    moved = shutil.copytree(motions, tmp_path / "moved")
    build_index(done, moved, tmp_path / "index", windows=(45,), stride=45)
    page = page_of_index(tmp_path / "index")
    assert "parts of recordings" in page
    assert '"from":"1.5 s to 3.0 s"' in page
    shutil.rmtree(moved)
    with pytest.raises(UserError, match=r"no longer exist"):
        page_of_index(tmp_path / "index")
    assert "parts of recordings" in page_of_index(tmp_path / "index", motions)


def test_vectors_that_are_no_numbers_are_refused(done: Path, motions: Path, tmp_path: Path) -> None:
    build_index(done, motions, tmp_path / "index")
    vectors = np.lib.format.open_memmap(tmp_path / "index" / "vectors.npy", "r+")
    vectors[0, 0] = np.nan
    vectors.flush()
    with pytest.raises(UserError, match=r"vectors\.npy: holds NaN"):
        page_of_index(tmp_path / "index")


def test_rows_that_point_past_their_store_are_refused(done: Path, motions: Path, tmp_path: Path) -> None:
    build_index(done, motions, tmp_path / "index")
    rows = np.load(tmp_path / "index" / "rows.npy", mmap_mode="r+")
    rows["clip"][0] = 255
    rows.flush()
    with pytest.raises(UserError, match=r"rows\.npy: does not fit"):
        page_of_index(tmp_path / "index")
