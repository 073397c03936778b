"""Where in a long recording something occurs: repetitions are found exactly, other performances far above chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from long_recordings import act, long_recording, share_found, write_recording

from ssl_skel.data.normalize import normalize
from ssl_skel.data.recordings import store_of
from ssl_skel.data.store import Store
from ssl_skel.data.synthetic.performance import draw_person
from ssl_skel.retrieval.build import build_index
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.retrieval.search import Query, answer, ask


def places_of(index: MotionIndex, joints: np.ndarray, k: int) -> list[tuple[int, int]]:
    """First frame and end of each answer to a recording (1, T, V, 3)."""
    clips = store_of([normalize(joints, index.layout, index.normalization)[0]], index.layout)
    hits = answer(index, Query("asked", index.embed(clips)[0]), k, overlap=0.0)
    return [(hit.start, hit.start + hit.length) for hit in hits]


def test_every_repetition_is_found_once(run_dir: Path, tmp_path: Path) -> None:
    joints, _ = long_recording("kick", 1, 0.8, 0)
    part = joints[:, 700:745] - joints[:, 700:701, :1]
    starts = [10, 100, 333, 612, 1001, 1300]
    for start in starts:  # elsewhere in the room, which says nothing about the movement
        joints[:, start : start + 45] = part + np.array((0.01 * start, 0, 1))
    write_recording(tmp_path / "recording", joints)
    index = build_index(run_dir, tmp_path / "recording", tmp_path / "index", windows=(45,), stride=1)
    found = places_of(index, part, 7)
    assert sorted(start for start, _ in found) == sorted([*starts, 700])
    (query,) = ask(index, "recording", at=333)
    hits = answer(index, query, 6, overlap=0.0)
    assert sorted(hit.start for hit in hits) == sorted({*starts, 700} - {333})
    assert not any(hit.copy for hit in hits)


@pytest.mark.slow
def test_thirty_minutes_with_twenty_occurrences(run_dir: Path, tmp_path: Path) -> None:
    """An untrained encoder; chance is about 0.04, the share of the time that the movement takes."""
    joints, places = long_recording("pick_up", 20, 30, 0)
    assert (len(places), joints.shape[1] >= 54_000) == (20, True)
    write_recording(tmp_path / "recording", joints)
    assert Store.open(tmp_path / "recording").frames.tolist() == [joints.shape[1]]
    index = build_index(run_dir, tmp_path / "recording", tmp_path / "index", windows=(60, 90), stride=15)
    rng = np.random.default_rng(99)
    figures = []
    for _ in range(5):
        asked = act("pick_up", draw_person(rng), rng)
        figures.append(share_found(places_of(index, asked, 20), places))
    precision, recall = np.mean(figures, axis=0)
    print(f"30 minutes, 20 occurrences, {len(index)} windows: precision {precision:.2f}, recall {recall:.2f}")
    assert precision >= 0.08
    assert recall >= 0.08
