"""Where in a long recording something occurs: repetitions are found exactly, other performances far above chance."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from long_recordings import act, long_recording, share_found, write_recording
from typer.testing import Result

from ssl_skel.data.normalize import normalize
from ssl_skel.data.sources.recordings import store_of
from ssl_skel.data.store import Store
from ssl_skel.data.synthetic.performance import draw_person
from ssl_skel.errors import UserError
from ssl_skel.retrieval import localise as module
from ssl_skel.retrieval.build import build_index
from ssl_skel.retrieval.hits import nearest_hits, suppress_places
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.retrieval.localise import localise
from ssl_skel.retrieval.queries import Query, load_queries


def asked_of(index: MotionIndex, joints: np.ndarray) -> Query:
    """A recording (1, T, V, 3) as a question."""
    clips = store_of([normalize(joints, index.layout, index.normalization)[0]], index.layout)
    return Query("asked", index.embedder.features(clips)[0], joints=clips.clip(0))


def test_every_repetition_is_found_once(run_dir: Path, tmp_path: Path) -> None:
    joints, _ = long_recording("kick", 1, 0.8, 0)
    part = joints[:, 700:745] - joints[:, 700:701, :1]
    starts = [10, 100, 333, 612, 1001, 1300]
    for start in starts:  # elsewhere in the room, which says nothing about the movement
        joints[:, start : start + 45] = part + np.array((0.01 * start, 0, 1))
    write_recording(tmp_path / "recording", joints)
    index = build_index(run_dir, tmp_path / "recording", tmp_path / "index", windows=(45,), stride=1)
    for search in (nearest_hits, localise):
        found = search(index, asked_of(index, part), 7, overlap=0.0)
        assert sorted(hit.start for hit in found) == sorted([*starts, 700])
    (query,) = load_queries(index, "recording", at=333)
    hits = nearest_hits(index, query, 6, overlap=0.0)
    assert sorted(hit.start for hit in hits) == sorted({*starts, 700} - {333})
    assert not any(hit.copy for hit in hits)


def test_a_sequence_is_found_where_it_is_and_only_there(run_dir: Path, tmp_path: Path) -> None:
    joints, _ = long_recording("kick", 1, 0.8, 0)
    write_recording(tmp_path / "recording", joints)
    index = build_index(run_dir, tmp_path / "recording", tmp_path / "index", windows=(20, 30), stride=5)
    query = asked_of(index, joints[:, 400:477])
    (hit,) = localise(index, query, 1)
    assert (hit.start, hit.length, hit.name) == (400, 75, "recording")  # windows at 0, 5, ... 45 of the query
    assert hit.similarity == pytest.approx(1, abs=1e-3)
    rows = np.flatnonzero(index.rows["start"] >= 300)
    assert localise(index, query, 1, rows=rows)[0].start == 400
    assert all(hit.start >= 405 for hit in localise(index, query, 9, rows=rows[index.rows["start"][rows] > 400]))
    several = localise(index, query, 5, overlap=0.0)
    for one, other in itertools.pairwise(several):
        assert one.similarity >= other.similarity
    spans = sorted((hit.start, hit.start + hit.length) for hit in several)
    assert all(stop <= start for (_, stop), (start, _) in itertools.pairwise(spans))
    (row,) = load_queries(index, "recording", at=333)
    assert all(abs(hit.start - 330) >= 30 for hit in localise(index, row, 4, overlap=0.0))


def test_diagonals_equal_a_naive_loop_and_stay_in_their_clip() -> None:
    rng = np.random.default_rng(0)
    near, clips = rng.normal(size=(14, 4)), np.array([0] * 7 + [1] * 2 + [2] * 5)
    score, last = module._diagonals(near, np.stack([np.zeros(14, int), clips], 1))
    for row in range(14):
        inside = [part for part in range(4) if row + part < 14 and clips[row + part] == clips[row]]
        mean = np.mean([near[row + part, part] for part in inside])
        whole = len(inside) == 4 or row in (0, 7, 9)  # a clip shorter than the query has one place
        assert score[row] == (pytest.approx(mean) if whole else -np.inf)
        assert last[row] == row + len(inside) - 1


def test_whitened_vectors_vary_alike_along_all_axes() -> None:
    rng = np.random.default_rng(0)
    vectors = (5 + rng.normal(size=(900, 6)) * [9, 3, 1, 0.3, 0.1, 0]).astype(np.float32)
    white, other = module._whiten(vectors, vectors[:3])
    assert white.shape == (900, 5)
    np.testing.assert_array_equal(other, white[:3])
    np.testing.assert_allclose(white.T @ white / 900, np.eye(5) / 5, atol=0.03)
    few, _ = module._whiten(vectors[:12], vectors[:3])
    np.testing.assert_array_equal(few, vectors[:12])


def test_places_of_other_clips_never_crowd_each_other() -> None:
    places = [(0, 0, 0, 10), (0, 1, 0, 10), (0, 0, 8, 10), (0, 0, 9, 4)]
    assert suppress_places(places, 9, 0.3) == [0, 1, 2]
    assert suppress_places(places, 2, 0.3) == [0, 1]
    assert suppress_places(places, 9, 0.0, [(0, 0, 5, 10)]) == [1]


def test_the_command_tells_places_and_mistakes(
    call: Callable[..., Result], windowed: MotionIndex, index: MotionIndex, store: Store, tmp_path: Path
) -> None:
    words = ("search", windowed.path, store.path, "--clip", store.name[5], "--localise", "-k", "3")
    (found,) = json.loads(call(*words, "--json").stdout)["answers"]
    assert found["hits"][0]["start"] >= 0
    assert store.name[5] not in [hit["name"] for hit in found["hits"]]
    page = tmp_path / "places.html"
    call(*words, "--page", page)
    assert found["hits"][0]["name"] in page.read_text("utf-8")
    query = asked_of(windowed, store.clip(0)[:1])
    for opened, options, told in (
        (index, {}, "build it with --window"),
        (windowed, {"k": 0}, "from 1"),
        (windowed, {"overlap": 2.0}, "--overlap"),
    ):
        with pytest.raises(UserError, match=told):
            localise(opened, query, **options)


@pytest.mark.slow
def test_thirty_minutes_with_twenty_occurrences(run_dir: Path, tmp_path: Path) -> None:
    """An untrained encoder; chance is about 0.04, the share of the time that the movement takes."""
    joints, places = long_recording("pick_up", 20, 30, 0)
    assert (len(places), joints.shape[1] >= 54_000) == (20, True)
    write_recording(tmp_path / "recording", joints)
    assert Store.open(tmp_path / "recording").frames.tolist() == [joints.shape[1]]
    index = build_index(run_dir, tmp_path / "recording", tmp_path / "index", windows=(60,), stride=15, pooling="part")
    rng = np.random.default_rng(99)
    figures = []
    for _ in range(5):
        asked = act("pick_up", draw_person(rng), rng)
        hits = localise(index, asked_of(index, asked), 20, overlap=0.0)
        figures.append(share_found([(hit.start, hit.start + hit.length) for hit in hits], places))
    precision, recall = np.mean(figures, axis=0)
    print(f"30 minutes, 20 occurrences, {len(index)} windows: precision {precision:.2f}, recall {recall:.2f}")
    assert precision >= 0.08
    assert recall >= 0.08
