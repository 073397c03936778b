"""Matching two draws by body proportions: against loops, and what must not matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_skel.config import EntryConfig
from ssl_skel.data.augment.config import BonesConfig, OffsetConfig, RotateConfig, ScaleConfig
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.store import Store
from ssl_skel.evaluation.shortcut import GROUP, log_proportions, match_rate


def draws(store: Store, *augment: EntryConfig, crop: tuple[float, float] = (1.0, 1.0)) -> ClipLoader:
    rows = range(len(store))
    return ClipLoader(store, rows, num_frames=12, batch_size=7, crop=crop, augment=Augment(augment, store.layout))


def test_proportions_are_those_of_a_loop_over_bones(motions: Path) -> None:
    store = Store.open(motions)
    found = log_proportions(draws(store))
    (whole,) = ClipLoader(store, range(len(store)), num_frames=12, batch_size=len(store)).epoch()
    bones = store.layout.bones
    assert found.shape == (len(store), store.max_persons * len(bones))
    assert (store.persons == 1).any()
    assert (store.persons == 2).any()
    for clip in range(len(store)):
        expected = np.zeros((len(bones), store.max_persons))
        for person in range(int(store.persons[clip])):
            joints = whole.x[clip, 0, ..., person].double().numpy()  # (C, T, V)
            logs = [
                np.log(np.mean([np.linalg.norm(joints[:, t, child] - joints[:, t, parent]) for t in range(12)]))
                for child, parent in bones
            ]
            expected[:, person] = np.array(logs) - np.mean(logs)
        np.testing.assert_allclose(found[clip], expected.ravel(), atol=1e-4)


def test_size_and_viewpoint_do_not_matter_and_proportions_do(motions: Path) -> None:
    store = Store.open(motions)
    plain = log_proportions(draws(store))
    np.testing.assert_allclose(
        log_proportions(draws(store, RotateConfig(max_degrees=180.0), ScaleConfig())), plain, atol=1e-3
    )
    for changed in (BonesConfig(), OffsetConfig()):
        assert np.abs(log_proportions(draws(store, changed)) - plain).max() > 0.1


def test_a_score_is_no_length(motions: Path) -> None:
    store = Store.open(motions)
    flat = log_proportions(draws(store))
    scored = Store.open(motions)
    object.__setattr__(scored, "layout", store.layout.with_score())  # the last coordinate is taken for a score
    assert np.abs(log_proportions(draws(scored)) - flat).max() > 0.01


@pytest.mark.parametrize("count", [1, 5, GROUP - 1, GROUP, 2 * GROUP - 1, 3 * GROUP + 7])
def test_matches_are_those_of_a_loop_over_groups(count: int) -> None:
    random = np.random.default_rng(count)
    first = random.normal(size=(count, 6))
    second = first + random.normal(size=first.shape)
    groups = max(count // GROUP, 1)
    wanted = min(count, groups * GROUP)
    rows = np.unique(np.linspace(0, count - 1, wanted).astype(int)) if count > wanted else np.arange(count)
    hits = []
    for group in range(groups):
        members = [row for place, row in enumerate(rows) if place % groups == group]
        assert len(members) == min(count, GROUP)
        for row in members:
            distances = [np.linalg.norm(second[row] - first[other]) for other in members]
            hits.append(members[int(np.argmin(distances))] == row)
    assert match_rate(first, second) == pytest.approx(np.mean(hits))


def test_the_same_draws_always_match_and_unrelated_ones_by_chance() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 40 * GROUP, 5))
    assert match_rate(first, first) == 1
    assert match_rate(first, second) == pytest.approx(1 / GROUP, abs=0.01)
    assert match_rate(np.zeros((GROUP, 5)), np.zeros((GROUP, 5))) == pytest.approx(1 / GROUP)
