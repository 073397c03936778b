"""Pairs of clips that are alike or share frames, against naive loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_skel.data.audit import duplicates, overlaps
from ssl_skel.data.audit.groups import link


def test_many_near_clips_are_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 alike among 100 others, searched through the projection, and with more alike than neighbours are fetched."""
    rng = np.random.default_rng(0)
    alike = rng.normal(0, 1, (1, 90)) + rng.normal(0, 1e-4, (300, 90))
    rows = np.concatenate([alike, rng.normal(0, 1, (100, 90))]).astype(np.float32)
    truth = {(a, b) for a in range(300) for b in range(a + 1, 300)}
    for sample in (4096, 64):
        monkeypatch.setattr(duplicates, "_SAMPLE", sample)
        pairs, distance = duplicates.near_pairs(rows, 0.01, 30)
        assert {tuple(pair) for pair in pairs.tolist()} <= truth
        assert len(np.unique(link(pairs, 400))) == 101
        a, b = pairs[0]
        assert distance[0] == pytest.approx(float(np.sqrt(((rows[a] - rows[b]) ** 2).sum() / 30)), rel=1e-4)


def test_a_pair_is_found_among_many_that_only_the_projection_takes_for_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_SAMPLE", 64)
    monkeypatch.setattr(duplicates, "_PROJECTED", 2)
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (140, 2)), rng.normal(0, 0.05, (140, 30))], 1).astype(np.float32)
    rows[:50, :2] = rows[0, :2]
    rows[37] = rows[3]
    rows[37, 0] += np.float32(0.009)
    pairs, _ = duplicates.near_pairs(rows, 0.01, 1)
    assert pairs.tolist() == [[3, 37]]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99))
def test_near_pairs_are_the_naive_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 0.1, (30, 6)).astype(np.float32)
    pairs, _ = duplicates.near_pairs(rows, 0.1, 2)
    expected = [
        [a, b]
        for a in range(30)
        for b in range(a + 1, 30)
        if np.sqrt(((rows[a].astype(float) - rows[b]) ** 2).sum() / 2) <= 0.1
    ]
    assert pairs.tolist() == expected


@pytest.mark.parametrize("spread", [1.0, 0.002])
def test_near_pairs_in_blocks_are_all_pairs(spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the blocks' windows overlap, with ties along every axis, equal clips, and one that is far away."""
    monkeypatch.setattr(duplicates, "_SAMPLE", 256)
    monkeypatch.setattr(duplicates, "_PROJECTED", 4)
    monkeypatch.setattr(duplicates, "_BLOCK", 16)
    rng = np.random.default_rng(0)
    rows = rng.normal(0, spread, (900, 12)) * np.linspace(1, 0.1, 12)
    rows[300:500] = np.rint(rows[300:500] / spread) * spread
    rows[500:600] = rows[:100] + rng.normal(0, 0.004, (100, 12))
    rows[600:650] = rows[600]
    rows[700] = 1e6
    rows = rng.permutation(rows).astype(np.float32)
    squares = ((rows[:, None].astype(np.float64) - rows) ** 2).sum(2)
    a, b = np.nonzero(np.triu(squares <= 2 * 0.01**2, 1))
    if spread < 1:  # nearly all clips are near each other
        rows, keep = rows[:120], b < 120
        a, b = a[keep], b[keep]
    pairs, _ = duplicates.near_pairs(rows, 0.01, 2, None)
    assert len(pairs) > 1000
    assert pairs.tolist() == np.stack([a, b], 1).tolist()


@pytest.mark.parametrize("at_once", [1 << 18, 7])
def test_overlaps_are_the_naive_loop(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlaps, "_AT_ONCE", at_once)
    with overlaps.Poses() as poses:
        assert poses.shared()[0].tolist() == []
        for clip in ([*range(20)], [*range(10, 22), 500, 501], [*range(40, 52), 3, 3], [7]):
            poses.add(np.array(clip, np.int64))
        pairs, share = poses.shared(0.1)
        assert pairs.tolist() == [[0, 1]]
        assert share.tolist() == [10 / 14]
        assert poses.shared(0.9)[0].tolist() == []
        assert poses.shared(0.1, np.array([True, False, True, True]))[0].tolist() == []
