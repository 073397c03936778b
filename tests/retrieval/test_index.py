"""The index: vectors are the encoder's, searches equal a NumPy reference, shards join, and mistakes are one line."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_skel.data.clip import RawClip
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.store import Store
from ssl_skel.data.synthetic import SyntheticConfig, generate
from ssl_skel.data.writer import StoreWriter
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.embedding.features import extract_features, whole_clips
from ssl_skel.embedding.spans import spans
from ssl_skel.encoders.files import load_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import search_exactly, unit
from ssl_skel.retrieval import merge
from ssl_skel.retrieval.build import build_index
from ssl_skel.retrieval.codes import Codes
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.retrieval.merge import merge_indexes
from ssl_skel.retrieval.writing import IndexWriter

Damage = Callable[..., Path]


def reference(vectors: np.ndarray, query: np.ndarray, rows: np.ndarray) -> list[int]:
    """All rows by cosine in float64, one at a time; ties in row order."""
    near = [float((vectors[row].astype(np.float64) * query).sum()) for row in rows]
    return [int(row) for _, row in sorted(zip([-value for value in near], rows, strict=True))]


# ---- what the vectors are


def test_rows_are_the_clips_of_the_store(index: MotionIndex, store: Store, run_dir: Path) -> None:
    encoder, _ = load_encoder(run_dir)
    encoder = encoder.with_pooling(PoolingConfig.of("part"))
    expected = unit(extract_features(encoder, whole_clips(store, num_frames=16)))
    np.testing.assert_allclose(index.vectors, expected, atol=1e-6)
    assert [index.name(row) for row in range(len(index))] == store.name.tolist()
    for field in ("frames", "label", "subject", "camera", "content"):
        assert np.array_equal(index.rows[field], getattr(store, field))
    assert np.array_equal(index.rows["length"], store.frames)
    assert index.class_names == store.class_names


def test_opening_reads_no_vectors_and_takes_milliseconds(index: MotionIndex) -> None:
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        opened = MotionIndex.open(index.path)
        seconds.append(time.perf_counter() - begin)
    assert isinstance(opened.vectors, np.memmap)
    assert isinstance(opened.rows, np.memmap)
    assert min(seconds) < 0.1


def test_spans_cover_every_frame_and_end_with_their_clip() -> None:
    assert spans(np.array([5, 9])).tolist() == [[0, 0, 5], [1, 0, 9]]
    found = spans(np.array([5, 10, 23]), (10,), 4)
    assert found.tolist() == [[0, 0, 5], [1, 0, 10], *([2, start, 10] for start in (0, 4, 8, 12, 13))]
    several = spans(np.array([40]), (8, 16))
    assert {length for _, _, length in several} == {8, 16}
    for window, step in ((8, 2), (16, 4)):
        starts = [start for _, start, length in several if length == window]
        assert starts == [*range(0, 40 - window, step), 40 - window]


def test_a_window_is_embedded_as_if_recorded_alone(windowed: MotionIndex, store: Store) -> None:
    row = int(np.flatnonzero(windowed.rows["start"] == 16)[3])
    clip, start, length = (int(windowed.rows[field][row]) for field in ("clip", "start", "length"))
    alone = normalize(store.clip(clip)[:, start : start + length], store.layout, windowed.normalization)[0]
    np.testing.assert_array_equal(windowed.joints(row, store), alone)
    found, near = windowed.search(store.clip(clip)[:, start : start + length], 1)
    assert found[0] == row
    assert near[0] == pytest.approx(1, abs=1e-6)


# ---- searches


def test_ranks_equal_a_numpy_reference_bit_for_bit(index: MotionIndex) -> None:
    rng = np.random.default_rng(0)
    queries = np.concatenate([index.vectors[:7], rng.normal(size=(9, index.vectors.shape[1]))]).astype("f4")
    rows = np.sort(rng.choice(len(index), 40, replace=False))
    for among in (None, rows):
        found, near = index.search_vectors(queries, 12, rows=among)
        for query, mine, close in zip(unit(queries), found, near, strict=True):
            wanted = reference(index.vectors, query, np.arange(len(index)) if among is None else among)[:12]
            assert mine.tolist() == wanted
            assert close.tolist() == [float((index.vectors[row].astype("f8") * query).sum()) for row in wanted]


@pytest.mark.parametrize("count", [1, 3, 50])
def test_ties_come_in_row_order_in_large_and_filtered_sets(count: int) -> None:
    rng = np.random.default_rng(1)
    vectors = unit(rng.normal(size=(90, 6)))[rng.integers(0, 90, 90_000)]  # about a thousand copies of each
    queries = unit(rng.normal(size=(count, 6)))
    some = np.sort(rng.choice(90_000, 5000, replace=False))
    codes = Codes.of(vectors)
    for rows in (None, some):
        among = np.arange(90_000) if rows is None else rows
        found, _ = codes.search(vectors, queries, 30, rows)
        if rows is None:
            assert np.array_equal(found, search_exactly(vectors, queries, 30)[0])
        for query, mine in zip(queries, found, strict=True):
            near = (vectors[among].astype("f8") * query).sum(-1)
            assert mine.tolist() == among[np.argsort(-near, kind="stable")[:30]].tolist()


def test_a_recording_is_normalised_as_the_card_says_and_finds_itself(index: MotionIndex, store: Store) -> None:
    raw = list(generate(SyntheticConfig(subjects=4, cameras=2, repetitions=1)))
    gaps = [number for number, clip in enumerate(raw) if np.isnan(clip.joints).any()]
    assert gaps
    for number in (0, gaps[0], len(raw) - 1):
        found, near = index.search(raw[number].joints, 1)
        assert (found[0], near[0]) == (number, pytest.approx(1, abs=1e-6))
    found, _ = index.search(raw[0].joints[0], 10_000)  # (T, V, C), and more than there are
    assert sorted(found) == list(range(len(index)))


@pytest.mark.parametrize("kind", ["ivf", "hnsw", "ivfpq"])
def test_faster_kinds_state_their_recall_and_are_exact_about_similarity(
    kind: str, run_dir: Path, store: Store, tmp_path: Path
) -> None:
    made = build_index(run_dir, store.path, tmp_path / kind, kind=kind, windows=(20,), stride=8)
    opened = MotionIndex.open(made.path)
    search = opened.meta["search"]
    assert search["recall"] >= 0.97
    queries = np.asarray(opened.vectors[::9])
    truth, close = opened.search_vectors(queries, 10, exact=True)
    found, near = opened.search_vectors(queries, 10)
    assert np.mean([np.isin(*pair).mean() for pair in zip(truth, found, strict=True)]) >= 0.9
    same = truth == found
    assert np.array_equal(close[same], near[same])
    rows = np.arange(0, len(opened), 3)
    assert np.isin(opened.search_vectors(queries, 5, rows=rows)[0], rows).all()
    everything, last = opened.search_vectors(queries[:2], len(opened))
    assert ((everything >= 0) == np.isfinite(last)).all()


def test_a_stopped_index_goes_on_and_is_the_same(
    run_dir: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"windows": (30,), "stride": 8, "batch_size": 16}
    whole = build_index(run_dir, store.path, tmp_path / "whole", **options)
    embed, calls = Embedder.encode_spans, []

    def stops(self: Embedder, clips: Store, chosen: np.ndarray) -> np.ndarray:
        calls.append(len(chosen))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embed(self, clips, chosen)

    monkeypatch.setattr(Embedder, "encode_spans", stops)
    with pytest.raises(KeyboardInterrupt):
        build_index(run_dir, store.path, tmp_path / "made", **options)
    assert not (tmp_path / "made").exists()
    build_index(run_dir, store.path, tmp_path / "made", **options)
    assert sum(calls) == len(whole) + 16  # only the batch that was stopped came twice
    for file in ("vectors.npy", "rows.npy", "codes.safetensors"):
        assert (tmp_path / "made" / file).read_bytes() == (whole.path / file).read_bytes(), file
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "whole"]


def test_a_stopped_merge_goes_on_and_is_the_same(
    windowed: MotionIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, sizes = IndexWriter.add, []

    def stops(self: IndexWriter, vectors: np.ndarray, records: np.ndarray) -> None:
        sizes.append(len(records))
        if len(sizes) == 3:
            raise KeyboardInterrupt
        add(self, vectors, records)

    monkeypatch.setattr(IndexWriter, "add", stops)
    monkeypatch.setattr(merge, "_BLOCK", 16)
    with pytest.raises(KeyboardInterrupt):
        merge_indexes([windowed.path], tmp_path / "made")
    monkeypatch.setattr(merge, "_BLOCK", 20)
    merge_indexes([windowed.path], tmp_path / "made")
    assert sum(sizes) == len(windowed) + 16  # only the block that was stopped came twice
    for file in ("vectors.npy", "rows.npy", "codes.safetensors"):
        assert (tmp_path / "made" / file).read_bytes() == (windowed.path / file).read_bytes(), file


# ---- shards


@pytest.mark.parametrize("parts", [2, 3])
def test_shards_join_to_what_one_machine_builds(
    parts: int, windowed: MotionIndex, run_dir: Path, store: Store, tmp_path: Path
) -> None:
    shards = [
        build_index(run_dir, store.path, tmp_path / f"{part}", windows=(30,), stride=8, shard=(part, parts)).path
        for part in range(1, parts + 1)
    ]
    whole = merge_indexes([*reversed(shards)], tmp_path / "whole", kind="ivf")
    assert np.array_equal(whole.rows, windowed.rows)
    np.testing.assert_allclose(whole.vectors, windowed.vectors, atol=1e-6)
    assert whole.meta["kind"] == "ivf"
    assert whole.meta["stores"] == windowed.meta["stores"]
    assert list(whole.meta) == list(windowed.meta)
    found, _ = whole.search(store.clip(3)[:, :30], 1, exact=True)
    assert whole.name(found[0]) == str(store.name[3])
    with pytest.raises(UserError, match=rf"part {parts}/{parts} of .* is missing; join all at once"):
        merge_indexes(shards[:-1], tmp_path / "gap")


def test_indexes_of_several_stores_join(run_dir: Path, store: Store, index: MotionIndex, tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "more", store.layout, store.class_names, normalization=store.normalization) as writer:
        writer.add(RawClip("a much longer name than any of the others has, with ü", store.clip(4), label=2))
    more = build_index(run_dir, tmp_path / "more", tmp_path / "more_index", pooling="part")
    both = merge_indexes([index.path, more.path], tmp_path / "both")
    assert len(both) == len(index) + 1
    assert both.name(len(index)) == "a much longer name than any of the others has, with ü"
    assert both.open_store(int(both.rows["store"][-1])).path == tmp_path / "more"
    assert np.array_equal(both.vectors, np.concatenate([index.vectors, more.vectors]))
    # One clip, embedded in batches of unlike size: CPUs may round the last bits otherwise, so either may come first.
    np.testing.assert_allclose(both.vectors[len(index)], both.vectors[4], atol=1e-6)
    found, near = both.search(store.clip(4), 3)
    assert sorted(found[:2].tolist()) == [4, len(index)]
    assert near[:2] == pytest.approx([1, 1], abs=1e-6)
    assert near[2] < 1 - 1e-5
    ranked = [*zip(-near, found, strict=True)]
    assert ranked == sorted(ranked)  # ties in row order


def test_parts_that_do_not_belong_together_are_refused(
    index: MotionIndex, run_dir: Path, other_run: Path, store: Store, tmp_path: Path
) -> None:
    other = build_index(other_run, store.path, tmp_path / "other", pooling="part")
    mean = build_index(run_dir, store.path, tmp_path / "mean", pooling="mean")
    for parts, told in (
        ([index.path, other.path], "encoder: differs"),
        ([index.path, mean.path], "pooling: differs"),
        ([index.path, index.path], "is in two of the parts"),
        ([], "give the indexes"),
    ):
        with pytest.raises(UserError, match=told):
            merge_indexes(parts, tmp_path / "joined")
        assert not (tmp_path / "joined").exists()


# ---- mistakes


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"kind": "tree"}, "--kind: unknown 'tree'; known: flat, ivf, hnsw, ivfpq"),
        ({"pooling": "whole"}, "pooling: unknown 'whole'"),
        ({"windows": (0,)}, "--window"),
        ({"stride": 4}, "--stride: .* --window"),
        ({"windows": (20,), "stride": 0}, "--stride"),
        ({"shard": (3, 2)}, "--shard 3/2"),
        ({"shard": (900, 999)}, "is empty"),
        ({"batch_size": 0}, "--batch-size"),
        ({"device": "abacus"}, "device: 'abacus' is not available on this machine"),
    ],
)
def test_mistakes_leave_nothing_behind(
    options: dict[str, Any], told: str, run_dir: Path, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told):
        build_index(run_dir, store.path, tmp_path / "made", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_faster_search_is_refused_before_anything_is_embedded(
    run_dir: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssl_skel.embedding.embedder.extract_features", None)
    with pytest.raises(UserError, match="ivfpq: needs at least 256 vectors"):
        build_index(run_dir, store.path, tmp_path / "made", kind="ivfpq")


def test_an_index_is_replaced_only_when_told(run_dir: Path, store: Store, tmp_path: Path) -> None:
    made = build_index(run_dir, store.path, tmp_path / "made")
    with pytest.raises(UserError, match="--overwrite"):
        build_index(run_dir, store.path, made.path)
    again = build_index(run_dir, store.path, made.path, pooling="body", overwrite=True)
    assert again.meta["pooling"] == "body"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(UserError, match="will not be replaced"):
        build_index(run_dir, store.path, tmp_path / "mine", overwrite=True)


def test_an_index_replaces_neither_a_store_nor_a_part(run_dir: Path, store: Store, tmp_path: Path) -> None:
    copy, part = Path(shutil.copytree(store.path, tmp_path / "store")), tmp_path / "part"
    build_index(run_dir, copy, part)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="exists and is no index, so it will not be replaced"):
        build_index(run_dir, copy, copy, overwrite=True)
    with pytest.raises(UserError, match="part is read, so it will not be replaced"):
        merge_indexes([part], part, overwrite=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_stores_that_do_not_fit_the_encoder(run_dir: Path, store: Store, tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "turned", store.layout, ("a",), normalization=NormalizeConfig(orient=True)) as writer:
        writer.add(RawClip("clip", store.clip(0)))
    with pytest.raises(UserError, match="normalization"):
        build_index(run_dir, tmp_path / "turned", tmp_path / "made")
    with pytest.raises(UserError, match="no store there"):
        build_index(run_dir, tmp_path / "none", tmp_path / "made")


@pytest.mark.parametrize(
    ("joints", "told"),
    [
        (np.full((9, 25, 3), np.nan), "no tracked joint"),
        (np.zeros((9, 25, 3)), "no tracked joint"),
        (np.ones((9, 20, 3)), r"takes \(T, 25, 3\) or .*, the joints of ntu25"),
        (np.ones((0, 25, 3)), "has no frames"),
        (np.ones((25, 3)), "shape"),
        (np.ones((9, 25, 2)), r"has shape \(9, 25, 2\); this encoder takes \(T, 25, 3\)"),
    ],
)
def test_recordings_that_cannot_be_asked_about(index: MotionIndex, joints: np.ndarray, told: str) -> None:
    with pytest.raises(UserError, match=told) as error:
        index.search(joints)
    assert "\n" not in str(error.value)


def test_vectors_that_cannot_be_asked_about(index: MotionIndex) -> None:
    dim = index.vectors.shape[1]
    for vectors, k, told in (
        (np.ones((1, dim + 1)), 1, "takes query vectors"),
        (np.full((1, dim), np.nan), 1, "hold NaN"),
        (np.ones((1, dim)), 0, "from 1"),
    ):
        with pytest.raises(UserError, match=told):
            index.search_vectors(vectors, k)


def test_the_store_of_an_index_is_known_by_its_content(index: MotionIndex, store: Store, tmp_path: Path) -> None:
    assert index.open_store(0).path == store.path
    moved = shutil.copytree(store.path, tmp_path / "moved")
    lost = MotionIndex.open(index.path)
    lost.meta["stores"] = [{"path": str(tmp_path / "gone"), "sha256": store.sha256}]
    with pytest.raises(UserError, match=r"gone: .* --store"):
        lost.open_store(0)
    assert lost.open_store(0, (moved,)).path == moved
    told = json.loads((moved / "meta.json").read_text("utf-8"))
    (moved / "meta.json").write_text(json.dumps(told | {"sha256": "0" * 64}), "utf-8")
    with pytest.raises(UserError, match="--store"):
        lost.open_store(0, (moved,))
