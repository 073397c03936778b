"""Questions: what a word stands for, filters, what is left out, suppression of overlaps, and the verbs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from ssl_skel.data.clip import RawClip
from ssl_skel.data.frame_rate import to_frames
from ssl_skel.data.store import Store
from ssl_skel.data.synthetic import SyntheticConfig, generate
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError
from ssl_skel.retrieval.build import build_index
from ssl_skel.retrieval.filters import Filter
from ssl_skel.retrieval.hits import nearest_hits, suppress
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.retrieval.queries import load_queries

Call = Callable[..., Result]


def name_of(store: Store, row: int) -> str:
    return str(store.name[row])


# ---- what is asked


def test_a_clip_of_the_index_finds_its_neighbours_but_not_itself(index: MotionIndex, store: Store) -> None:
    (query,) = load_queries(index, name_of(store, 5))
    assert (query.name, query.row) == (name_of(store, 5), 5)
    hits = nearest_hits(index, query, 7)
    expected = [row for row in index.search_vectors(index.vectors[5:6], 8)[0][0] if row != 5]
    assert [hit.row for hit in hits] == expected
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5, 6, 7]
    first = hits[0]
    assert first.name == name_of(store, first.row)
    assert first.label == store.class_names[store.label[first.row]]
    assert (first.subject, first.camera) == (store.subject[first.row], store.camera[first.row])
    assert (first.start, first.length) == (0, store.frames[first.row])
    assert not first.copy
    assert len(nearest_hits(index, query, 10_000)) == len(index) - 1


def test_a_store_asks_with_each_clip_and_none_finds_itself(index: MotionIndex, store: Store) -> None:
    asked = load_queries(index, str(store.path))
    assert [query.name for query in asked] == store.name.tolist()
    hits = nearest_hits(index, asked[5], 7)
    assert [hit.row for hit in hits] == [
        hit.row for hit in nearest_hits(index, load_queries(index, name_of(store, 5))[0], 7)
    ]
    (one,) = load_queries(index, str(store.path), clip=name_of(store, 9))
    assert one.name == name_of(store, 9)
    np.testing.assert_array_equal(one.joints, store.clip(9))


def test_a_raw_file_is_read_and_its_copy_in_the_index_is_marked(
    index: MotionIndex, store: Store, tmp_path: Path
) -> None:
    raw = list(generate(SyntheticConfig(subjects=4, cameras=2, repetitions=1)))[3]
    np.savez(tmp_path / "mine.npz", joints=raw.joints[None], name=np.array(["mine"]))
    (tmp_path / "mine.yaml").write_text("layout: ntu25", "utf-8")
    (query,) = load_queries(index, str(tmp_path / "mine.npz"))
    assert query.name == "mine"
    np.testing.assert_array_equal(query.joints, store.clip(3))
    hits = nearest_hits(index, query, 3)
    assert (hits[0].row, hits[0].copy) == (3, True)
    assert hits[0].similarity == pytest.approx(1, abs=1e-6)
    assert not hits[1].copy


def test_copies_inside_an_index_are_marked(run_dir: Path, store: Store, tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "twins", store.layout, (), normalization=store.normalization) as writer:
        for number in range(6):
            writer.add(RawClip(f"clip{number}", store.clip(number % 5)))
    twins = build_index(run_dir, tmp_path / "twins", tmp_path / "index")
    hits = nearest_hits(twins, load_queries(twins, "clip0")[0], 5)
    assert (hits[0].name, hits[0].copy) == ("clip5", True)
    assert not any(hit.copy for hit in hits[1:])
    assert hits[0].label == ""


def test_a_window_of_an_indexed_clip_asks_by_a_frame_in_it(windowed: MotionIndex, store: Store) -> None:
    name = name_of(store, 2)
    (query,) = load_queries(windowed, name, at=17)
    record = windowed.rows[query.row]
    assert (windowed.name(query.row), int(record["start"])) == (name, 16)
    for hit in nearest_hits(windowed, query, 20, overlap=0.0):
        assert hit.name != name or hit.start >= 46 or hit.start + hit.length <= 16
    with pytest.raises(UserError, match=r"windows; choose one by a frame of it with --at"):
        load_queries(windowed, name)
    with pytest.raises(UserError, match="no window that begins at frame -1"):
        load_queries(windowed, name, at=-1)


@pytest.mark.parametrize(
    ("word", "options", "told"),
    [
        ("wave_s01_r0_c9", {}, "neither the name of a clip .* did you mean 'wave_s01_r0_c"),
        ("none/at/all", {}, "neither the name of a clip of .* nor a file; known: wave_s01"),
        ("STORE", {"clip": "wave_s01_r0_c9"}, "unknown clip 'wave_s01_r0_c9'; did you mean"),
        ("STORE", {"at": 3}, "--at: chooses among windows"),
        ("STORE", {"format": "npy"}, ""),
    ],
)
def test_words_that_stand_for_nothing(
    index: MotionIndex, store: Store, word: str, options: dict[str, Any], told: str
) -> None:
    word = str(store.path) if word == "STORE" else word
    if not told:
        assert len(load_queries(index, word, **options)) == len(store)  # a store needs no reader
        return
    with pytest.raises(UserError, match=told) as error:
        load_queries(index, word, **options)
    assert "\n" not in str(error.value)


# ---- filters


def test_filters_leave_what_they_say(windowed: MotionIndex) -> None:
    rows = windowed.rows
    assert Filter().rows(windowed) is None
    kick, wave = (windowed.class_names.index(name) for name in ("kick", "wave"))
    for options, keep in (
        ({"labels": ["kick"]}, rows["label"] == kick),
        ({"labels": ["kick", "wave"]}, np.isin(rows["label"], [kick, wave])),
        ({"subjects": [2]}, rows["subject"] == 2),
        ({"cameras": [1], "subjects": [2, 3]}, (rows["camera"] == 1) & np.isin(rows["subject"], [2, 3])),
        ({"within": (8, 50)}, (rows["start"] >= 8) & (rows["start"] + rows["length"] <= 50)),
        ({"within": (40, None)}, rows["start"] >= 40),
    ):
        found = Filter(**options).rows(windowed)  # type: ignore[arg-type]
        assert found is not None
        assert found.tolist() == np.flatnonzero(keep).tolist()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"labels": ["kik"]}, "--label: unknown 'kik'; did you mean 'kick'"),
        ({"labels": ["zzz"]}, "--label: unknown 'zzz'; known: wave"),
        ({"labels": ["kick"], "subjects": [77]}, r"none of its \d+ rows meets label kick, subject 77; filter less"),
        ({"within": (5, 7)}, r"meets within 5:7; filter less"),
    ],
)
def test_filters_that_leave_nothing(index: MotionIndex, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        Filter(**options).rows(index)


def test_people_go_by_their_names_in_each_store(index: MotionIndex, run_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(index.open_store(0).path, tmp_path / "named")
    meta = json.loads((copy / "meta.json").read_text("utf-8"))
    meta |= {"value_names": {"subject": {"Ann": 2, "3": 1}}}
    (copy / "meta.json").write_text(json.dumps(meta), "utf-8")
    named = build_index(run_dir, copy, tmp_path / "index")
    subject = named.rows["subject"]
    for wanted, numbers in ((["Ann"], [2]), (["3"], [1]), (["Ann", 1], [1, 2])):
        found = Filter(subjects=wanted).rows(named)
        assert found is not None
        assert found.tolist() == np.flatnonzero(np.isin(subject, numbers)).tolist()
    with pytest.raises(UserError, match="--subject: unknown 'Anna'; did you mean 'Ann'"):
        Filter(subjects=["Anna"]).rows(named)
    with pytest.raises(UserError, match="--camera: unknown 'left'; known: numbers only"):
        Filter(cameras=["left"]).rows(named)


# ---- suppression


def test_suppression_equals_a_naive_loop(run_dir: Path, store: Store, tmp_path: Path) -> None:
    windowed = build_index(run_dir, store.path, tmp_path / "index", windows=(16, 40), stride=9)
    rng = np.random.default_rng(0)
    ordered = rng.permutation(len(windowed))[:300]
    for overlap in (0.0, 0.3, 1.0):
        kept: list[int] = []
        for row in ordered:
            frames = set(range(windowed.rows["start"][row], windowed.rows["start"][row] + windowed.rows["length"][row]))
            clear = True
            for other in kept:
                if windowed.rows["clip"][other] == windowed.rows["clip"][row]:
                    start, length = windowed.rows["start"][other], windowed.rows["length"][other]
                    shared = len(frames & set(range(start, start + length)))
                    clear &= shared <= overlap * min(len(frames), length)
            if clear:
                kept.append(int(row))
        assert suppress(windowed, ordered, 300, overlap) == kept
        assert suppress(windowed, ordered, 20, overlap) == kept[:20]
        assert (len(kept) == 300) == (overlap == 1.0)


def test_answers_of_an_index_of_windows_do_not_overlap_and_fill_up(windowed: MotionIndex, store: Store) -> None:
    (query,) = load_queries(windowed, name_of(store, 2), at=16)
    hits = nearest_hits(windowed, query, 60, overlap=0.0)
    assert len(hits) == 60  # more than the first fetch holds once overlaps are gone
    places = [(hit.name, frame) for hit in hits for frame in range(hit.start, hit.start + hit.length)]
    assert len(set(places)) == len(places)
    similarity = [hit.similarity for hit in hits]
    assert similarity == sorted(similarity, reverse=True)
    everything = nearest_hits(windowed, query, 60, overlap=1.0)
    assert [hit.row for hit in everything] != [hit.row for hit in hits]
    assert query.row not in [hit.row for hit in everything]
    with pytest.raises(UserError, match="--overlap"):
        nearest_hits(windowed, query, 3, overlap=1.5)
    with pytest.raises(UserError, match="k: counts"):
        nearest_hits(windowed, query, -9)


# ---- the verbs


def test_index_search_and_merge_from_the_command_line(call: Call, run_dir: Path, store: Store, tmp_path: Path) -> None:
    for part in ("1/2", "2/2"):
        told = call("index", run_dir, store.path, "-o", tmp_path / part[0], "--shard", part, "--json").stdout
        assert json.loads(told)["kind"] == "flat"
    merged = call("merge-index", tmp_path / "1", tmp_path / "2", "-o", tmp_path / "all", "--kind", "hnsw", "--json")
    facts = json.loads(merged.stdout)
    assert (facts["vectors"], facts["kind"]) == (len(store), "hnsw")
    assert facts["recall_at_10"] > 0.9
    name = name_of(store, 0)
    found = json.loads(call("search", tmp_path / "all", name, "-k", "3", "--camera", "2", "--json").stdout)
    (one,) = found["answers"]
    assert one["query"] == name
    assert [hit["camera"] for hit in one["hits"]] == [2, 2, 2]
    table = call("search", tmp_path / "all", name, "-k", "3", "--exact").stdout
    assert one["hits"][0]["name"] in table or "similarity" in table
    assert len(table.splitlines()) == 7  # the last two say what similarities mean
    with pytest.raises(UserError, match="--overwrite"):
        call("index", run_dir, store.path, "-o", tmp_path / "1")
    with pytest.raises(UserError, match="--shard 2"):
        call("index", run_dir, store.path, "-o", tmp_path / "x", "--shard", "2")
    with pytest.raises(UserError, match="--within 5: must be written START:STOP"):
        call("search", tmp_path / "all", name, "--within", "5")


def test_windows_and_places_in_seconds(call: Call, run_dir: Path, store: Store, tmp_path: Path) -> None:
    call("index", run_dir, store.path, "-o", tmp_path / "seconds", "--window", "1s", "--stride", "0.5s")
    index = MotionIndex.open(tmp_path / "seconds")
    assert (index.meta["windows"], index.meta["stride"], index.common_fps) == ([30], 15, 30.0)
    name = name_of(store, 0)
    for at in ("15", "0.5s"):
        args = ("search", index.path, name, "--at", at, "-k", "2", "--within", "0.5s:", "--json")
        (one,) = json.loads(call(*args).stdout)["answers"]
        assert all(hit["start"] >= 15 and hit["fps"] == 30 for hit in one["hits"])
    told = load_and_search(index, name)
    assert told["seconds"] == "-".join(f"{int(frame) / 30:.1f}" for frame in told["frames"].split("-"))
    index.meta["stores"][0].pop("fps")  # of an earlier release
    unknown = MotionIndex(**{field: getattr(index, field) for field in index.__dataclass_fields__})
    assert "seconds" not in load_and_search(unknown, name)
    for word, message in (("0.5s", "seconds need one known frame rate"), ("fast", "must be in frames or")):
        with pytest.raises(UserError, match=message):
            to_frames(word, unknown.common_fps, "--window")


def load_and_search(index: MotionIndex, name: str) -> dict[str, str]:
    """What is told of the first hit for a window."""
    (query,) = load_queries(index, name, at=0)
    return nearest_hits(index, query, 1)[0].facts(windows=True)


def test_a_page_shows_one_query_and_is_not_written_over(
    call: Call, windowed: MotionIndex, index: MotionIndex, store: Store, tmp_path: Path
) -> None:
    page = tmp_path / "found.html"
    out = call("search", index.path, name_of(store, 0), "-k", "2", "--page", page, "--fps", 15).stdout
    assert "percentile: per cent of the pairs of clips in this index that are less similar" in out
    assert out.endswith(f"written: {page}\n")
    assert not [line for line in out.splitlines() if line.endswith(" ")]
    assert name_of(store, 0) in page.read_text("utf-8")
    assert set(re.findall(r"\d+ frames at (\d+) fps", page.read_text("utf-8"))) == {"15"}
    with pytest.raises(UserError, match=r"found\.html: exists already"):
        call("search", index.path, name_of(store, 1), "--page", page)
    call("search", windowed.path, name_of(store, 1), "--at", "8", "-k", "2", "--page", page, "--overwrite")
    assert name_of(store, 1) in page.read_text("utf-8")
    with pytest.raises(UserError, match=r"holds \d+ clips, a page shows one; name it with --clip"):
        call("search", index.path, store.path, "--page", tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()


def test_a_device_that_is_not_there_is_told(call: Call, index: MotionIndex, store: Store, tmp_path: Path) -> None:
    for words in (
        ("search", index.path, store.path, "--clip", name_of(store, 0)),
        ("index", "RUN", store.path, "-o", tmp_path / "made"),
    ):
        run = [index.path / "encoder" if word == "RUN" else word for word in words]
        with pytest.raises(UserError, match="device: 'abacus' is not available on this machine; use auto or cpu"):
            call(*run, "--device", "abacus")
        assert call(*run, "--device", "cpu").exit_code == 0


def test_evaluation(call: Call, index: MotionIndex, store: Store) -> None:
    words = ("evaluate-retrieval", index.path, "--split", "xsub")
    found = json.loads(call(*words, "--kind", "hnsw", "--json").stdout)
    train, test = store.subject % 2 == 1, store.subject % 2 == 0
    assert (found["queries"], found["gallery"]) == (test.sum(), train.sum())
    exact, faster = found["searches"]["flat"], found["searches"]["hnsw"]
    near = np.argmax(np.asarray(index.vectors)[test] @ np.asarray(index.vectors)[train].T, axis=1)
    assert exact["figures"]["R@1"] == pytest.approx((store.label[train][near] == store.label[test]).mean())
    assert set(exact["figures"]) - set(faster["figures"]) == {"mAP"}
    assert faster["recall"] > 0.9
    assert faster["queries_per_second"] > 0
    assert list(exact["per_class"]) == list(store.class_names)
    alone = json.loads(call(*words, "--leave-one-out", "--json").stdout)
    assert alone["gallery"] == alone["queries"] == alone["excluded"] == test.sum()
    text = call(*words).stdout
    assert "mAP, %" in text
    assert "kick" in text


def test_copies_count_only_when_told(run_dir: Path, store: Store, tmp_path: Path, call: Call) -> None:
    splits = {"s": {"train": {"camera": [1]}, "test": {"camera": [2]}}}
    with StoreWriter(
        tmp_path / "twins", store.layout, ("a", "b"), splits=splits, normalization=store.normalization
    ) as writer:
        for number in range(8):
            writer.add(RawClip(f"train{number}", store.clip(number), label=number % 2, camera=1))
        for number in range(4):
            writer.add(RawClip(f"test{number}", store.clip(number), label=number % 2, camera=2))
    twins = build_index(run_dir, tmp_path / "twins", tmp_path / "index")
    words = ("evaluate-retrieval", tmp_path / "index", "--split", "s", "--json")
    without, kept = (json.loads(call(*words, *more).stdout) for more in ((), ("--keep-duplicates",)))
    assert (without["excluded"], kept["excluded"]) == (4, 0)
    assert kept["searches"]["flat"]["figures"]["R@1"] == 1
    vectors = np.asarray(twins.vectors)
    near = vectors[8:] @ vectors[:8].T
    near[np.arange(4), np.arange(4)] = -np.inf
    right = (near.argmax(1) % 2 == np.arange(4) % 2).mean()
    assert without["searches"]["flat"]["figures"]["R@1"] == pytest.approx(right)
    with pytest.raises(UserError, match="unknown split 't'"):
        call("evaluate-retrieval", tmp_path / "index", "--split", "t")
