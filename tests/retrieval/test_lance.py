"""An index past memory gives the answers of an exact one: the same rows, similarities, filters and names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from ssl_skel.data.sources.recordings import is_store
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.retrieval.build import build_index
from ssl_skel.retrieval.evaluate import evaluate_index
from ssl_skel.retrieval.filters import Filter
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.retrieval.merge import merge_indexes
from ssl_skel.retrieval.search import search
from ssl_skel.view.indexes import page_of_index

pytest.importorskip("lancedb")


@pytest.fixture(scope="module")
def lance(windowed: MotionIndex, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotionIndex]:
    """The windows of ``windowed``, as a table with an index of the vectors, though they are few."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("ssl_skel.retrieval.lance.FEWEST", 256)
    yield merge_indexes([windowed.path], tmp_path_factory.mktemp("lance") / "index", kind="lance")
    monkeypatch.undo()


def test_the_table_holds_the_rows_and_vectors(lance: MotionIndex, windowed: MotionIndex) -> None:
    assert sorted(path.name for path in lance.path.iterdir()) == ["encoder", "lance", "meta.json"]
    assert len(lance) == len(windowed)
    rows = np.array([5, 0, len(lance) - 1, 5])
    assert np.array_equal(lance.rows[rows], windowed.rows[rows])
    assert np.array_equal(lance.vectors[rows], windowed.vectors[rows])
    assert lance.rows["label"][7] == windowed.rows["label"][7]
    assert lance.meta["search"]["recall"] >= 0.9
    assert np.array_equal(lance.spread.pairs, windowed.spread.pairs)


@pytest.mark.parametrize(
    "chosen",
    [Filter(), Filter(labels=("wave",), cameras=(1,)), Filter(subjects=("0", 2), within=(8, 60))],
    ids=["all", "label and camera", "subjects and frames"],
)
def test_hits_are_those_of_an_exact_index(chosen: Filter, lance: MotionIndex, windowed: MotionIndex) -> None:
    query = windowed.name(40)
    for exact in (True, False):
        mine, theirs = (
            search(one, query, 5, at=16, filter=chosen, exact=exact or one is windowed)[0].hits
            for one in (lance, windowed)
        )
        shared = {hit.row for hit in mine} & {hit.row for hit in theirs}
        assert len(shared) >= (len(theirs) if exact else 3)
        for hit, other in ((a, b) for a in mine for b in theirs if a.row == b.row):
            assert asdict(hit) | {"rank": 0} == pytest.approx(asdict(other) | {"rank": 0})


def test_a_database_may_be_elsewhere(lance: MotionIndex, store: Store, tmp_path: Path) -> None:
    """As in object storage."""
    moved = Path(shutil.copytree(lance.path, tmp_path / "moved"))
    (moved / "lance").rename(tmp_path / "bucket")
    with pytest.raises(UserError, match=r"lance/rows: .*; build the index again") as told:
        MotionIndex.open(moved)
    assert "\n" not in str(told.value)
    opened = MotionIndex.open(moved, database=(tmp_path / "bucket").as_uri())
    found, near = opened.search(store.clip(3)[:, :30], 1, exact=True)
    assert lance.name(found[0]) == str(store.name[3])
    assert near[0] == pytest.approx(1, abs=1e-6)


def test_what_needs_all_rows_is_refused_in_one_line(lance: MotionIndex, run_dir: Path, tmp_path: Path) -> None:
    for call in (
        lambda: search(lance, lance.name(0), at=0, localise=True),
        lambda: evaluate_index(lance, "xsub"),
        lambda: merge_indexes([lance.path], tmp_path / "other"),
        lambda: search(lance, "nobody's clip"),
        lambda: search(lance, lance.name(0), at=0, filter=Filter(subjects=(99,))),
    ):
        with pytest.raises(UserError) as told:
            call()
        assert "\n" not in str(told.value)


def test_too_few_rows_for_an_index_of_the_vectors(run_dir: Path, store: Store, tmp_path: Path) -> None:
    small = build_index(run_dir, store.path, tmp_path / "small", kind="lance", shard=(1, 2))
    assert len(small) < 256
    assert small.meta["search"]["recall"] == 1
    assert search(small, small.name(3), 2)[0].hits[0].name != small.name(3)
    assert f"{len(small)} of the {len(small)} recorded" in page_of_index(small.path)
    assert not is_store(small.path)
    first = small.name(0)
    again = build_index(run_dir, store.path, small.path, kind="lance", shard=(2, 2), overwrite=True)
    assert again.name(0) != first


def test_damage_that_a_search_meets_is_one_line(lance: MotionIndex, tmp_path: Path) -> None:
    damaged = MotionIndex.open(shutil.copytree(lance.path, tmp_path / "damaged"))
    for file in (damaged.path / "lance").rglob("*/*/*.lance"):
        file.write_bytes(file.read_bytes()[:-20])
    for read in (
        lambda: damaged.named("nobody"),
        lambda: damaged.rows[np.array([0])],
        lambda: damaged.search_vectors(np.ones((1, lance.vectors.shape[1]), np.float32), 1),
    ):
        with pytest.raises(UserError, match=r"lance/rows: .*; build the index again") as told:
            read()
        assert "\n" not in str(told.value)
