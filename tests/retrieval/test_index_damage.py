"""A damaged index is refused in one line, whatever is wrong with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import unit
from ssl_skel.retrieval.approximate import Approximate
from ssl_skel.retrieval.build import build_index
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.retrieval.merge import merge_indexes

Damage = Callable[..., Path]


def change_row(path: Path, **values: Any) -> None:
    rows = np.load(path / "rows.npy", mmap_mode="r+")
    for field, value in values.items():
        rows[field][1] = value
    rows.flush()


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: cut(path / "vectors.npy"), r"vectors.npy: has \d+ bytes, \d+ were written; build"),
        (lambda path: cut(path / "rows.npy"), r"rows.npy: has \d+ bytes"),
        (lambda path: (path / "rows.npy").unlink(), "rows.npy: is missing"),
        (lambda path: cut(path / "codes.safetensors"), r"codes.safetensors: has \d+ bytes"),
        (lambda path: cut(path / "meta.json"), "meta.json: is damaged"),
        (lambda path: (path / "meta.json").write_text("[]"), "meta.json: is damaged"),
        (lambda path: (path / "meta.json").unlink(), "no index there; make it with ssl-skel index"),
        (lambda path: np.save(path / "vectors.npy", np.zeros((3, 2), "f4")), "vectors.npy: has"),
        (lambda path: (path / "meta.json").write_text("[" * 5000), "meta.json: is damaged"),
        (lambda path: change_row(path, store=1), "rows.npy: store: is damaged"),
        (lambda path: change_row(path, label=1000), "rows.npy: label: is damaged"),
        (lambda path: change_row(path, start=-1), "rows.npy: start: is damaged"),
    ],
)
def test_damage_is_told_in_one_line(damaged: Damage, change: Any, told: str) -> None:
    with pytest.raises(UserError, match=told) as error:
        MotionIndex.open(damaged(change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({"format_version": 1}, "format_version: the index has 1, this release reads 2"),
        ({"format": "store"}, "is not an index"),
        ({"kind": "tree"}, "is damaged"),
        ({"kind": "ivf"}, "is damaged"),
        ({"kind": "ivf", "search": {"effort": 3, "fetch": 4}}, "faiss.index: is missing"),
        ({"rows": 3}, "vectors.npy: is not what meta.json says"),
        ({"dim": "x"}, "is damaged"),
        ({"layout": {}}, "layout"),
        ({"normalization": {}}, "normalised"),
        ({"class_names": [3]}, "is damaged"),
        ({"stores": [{}]}, "is damaged"),
    ],
)
def test_a_changed_meta_is_told(damaged: Damage, meta: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        MotionIndex.open(damaged(**meta))


@pytest.mark.parametrize("field", ["clip", "length"])
def test_rows_that_do_not_fit_the_store_are_refused(damaged: Damage, store: Store, field: str) -> None:
    opened = MotionIndex.open(damaged(lambda path: change_row(path, name=b"\xff", **{field: 10**6})))
    assert opened.name(1) == "\ufffd"
    with pytest.raises(UserError, match=r"rows\.npy: does not fit"):
        opened.joints(1, store)


def test_a_damaged_faster_search_is_told(run_dir: Path, store: Store, tmp_path: Path) -> None:
    made = build_index(run_dir, store.path, tmp_path / "ivf", kind="ivf")
    file = made.path / "faiss.index"
    file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(UserError, match=r"faiss\.index: is damaged"):
        MotionIndex.open(made.path).search_vectors(made.vectors[:1], 3)
    cut(file)
    with pytest.raises(UserError, match=r"faiss\.index: has \d+ bytes"):
        MotionIndex.open(made.path)


def test_a_faster_search_of_more_vectors_is_refused() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(80, 8)))
    search = Approximate.train("ivf", vectors)
    with pytest.raises(UserError, match="is damaged; build the index again"):
        search.search(vectors[:40], vectors[40:], 3)


def test_another_encoder_is_refused(damaged: Damage, other_run: Path, store: Store, tmp_path: Path) -> None:
    def replace(path: Path) -> None:
        shutil.copy(other_run / "encoder" / "encoder.safetensors", path / "encoder")

    opened = MotionIndex.open(damaged(replace))
    assert len(opened.search_vectors(opened.vectors[:1], 3)[0][0]) == 3  # its own vectors are still good
    with pytest.raises(UserError, match=r"encoder\.safetensors: is not what the index was built with"):
        opened.search(store.clip(0))
    with pytest.raises(UserError, match="is not what the index was built with"):
        merge_indexes([opened.path], tmp_path / "joined")
