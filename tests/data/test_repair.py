"""Repairs: what was planted is mended, what is sound stays, and every repair can be taken back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_skel.data.audit.clips import Anatomy, inspect_clip
from ssl_skel.data.audit.limits import Limits
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.repair import STEPS, Change, RepairConfig, parse_steps, repair, undo
from ssl_skel.data.synthetic import SyntheticConfig, generate
from ssl_skel.data.synthetic.skeleton import LAYOUT
from ssl_skel.errors import UserError

ALL = RepairConfig(steps=STEPS)


def only(step: str, **options: object) -> RepairConfig:
    return RepairConfig.model_validate({"steps": (step,), **options})


@pytest.fixture(scope="module")
def sound() -> dict[str, np.ndarray]:
    config = SyntheticConfig(subjects=2, cameras=2, repetitions=1, dropout=0, noise=0.005)
    return {clip.name: clip.joints for clip in generate(config)}


@pytest.fixture
def march(sound: dict[str, np.ndarray]) -> np.ndarray:
    return sound["march_s01_r0_c1"].copy()


@pytest.fixture
def pair(sound: dict[str, np.ndarray]) -> np.ndarray:
    return sound["shake_hands_s01_r0_c1"].copy()


def test_sound_clips_stay_as_they_are(sound: dict[str, np.ndarray]) -> None:
    for joints in sound.values():
        mended, changes = repair(joints, ALL)
        assert changes == []
        np.testing.assert_array_equal(mended, joints)
        assert mended is not joints


def test_a_short_gap_is_crossed_better_than_by_a_line(march: np.ndarray) -> None:
    """The middle of a march, where a foot goes up and down."""
    foot = LAYOUT.joints.index("left_foot")
    holed = march.copy()
    holed[0, 20:28, foot] = np.nan
    mended, changes = repair(holed, only("gaps"))
    assert changes == [Change("gaps", 20, 27, 0, foot)]
    curve = np.linalg.norm(mended[0, 20:28, foot] - march[0, 20:28, foot], axis=-1).mean()
    share = (np.arange(1, 9) / 9)[:, None]
    line = march[0, 19, foot] * (1 - share) + march[0, 28, foot] * share
    assert curve <= np.linalg.norm(line - march[0, 20:28, foot], axis=-1).mean() + 0.005
    low, high = np.minimum(march[0, 19, foot], march[0, 28, foot]), np.maximum(march[0, 19, foot], march[0, 28, foot])
    assert (mended[0, 20:28, foot] >= low - 1e-6).all()
    assert (mended[0, 20:28, foot] <= high + 1e-6).all()
    rest = np.isfinite(holed)
    np.testing.assert_array_equal(mended[rest], holed[rest])


def test_a_curve_follows_motion_that_speeds_up() -> None:
    t = np.arange(30.0)
    joints = np.stack([t**2 / 400, 0 * t, 0 * t], -1)[None, :, None]
    holed = joints.copy()
    holed[0, 10:18] = np.nan
    mended, _ = repair(holed, only("gaps"))
    line = joints[0, 9] + (joints[0, 18] - joints[0, 9]) * (np.arange(1, 9) / 9)[:, None, None]
    assert np.abs(mended - joints).max() < 0.4 * np.abs(line - joints[0, 10:18]).max()


def test_long_gaps_and_open_ends_stay(march: np.ndarray) -> None:
    march[0, 20:40, 3] = np.nan
    march[0, :5, 4] = np.nan
    march[0, -5:, 5] = np.nan
    march[0, :, 6] = np.nan
    mended, changes = repair(march, only("gaps"))
    assert changes == []
    np.testing.assert_array_equal(mended, march)
    assert len(repair(march, only("gaps", gap_frames=20))[1]) == 1


def test_a_leap_is_removed_and_crossed(march: np.ndarray) -> None:
    broken = march.copy()
    broken[0, 30:32, 7] += [0, 0.9, 0]
    mended, changes = repair(broken, RepairConfig(steps=("jumps", "gaps")))
    assert [(change.step, change.first, change.last, change.joint) for change in changes] == [
        ("jumps", 30, 31, 7),
        ("gaps", 30, 31, 7),
    ]
    assert np.linalg.norm(mended[0, 30:32, 7] - march[0, 30:32, 7], axis=-1).max() < 0.05
    found = inspect_clip(normalize(broken, LAYOUT, NormalizeConfig())[0], Anatomy(LAYOUT), Limits())
    assert [finding.kind for finding in found] == ["spike"]
    assert inspect_clip(normalize(mended, LAYOUT, NormalizeConfig())[0], Anatomy(LAYOUT), Limits()) == []
    removed, _ = repair(broken, only("jumps"))
    assert np.isnan(removed[0, 30:32, 7]).all()


def test_infinity_is_not_tracked_and_no_leap(march: np.ndarray) -> None:
    march[0, 30, 7] = np.inf
    mended, changes = repair(march, RepairConfig(steps=("jumps", "gaps")))
    assert [change.step for change in changes] == ["gaps"]
    assert np.isfinite(mended).all()


def test_exchanged_persons_get_their_own_place(pair: np.ndarray) -> None:
    swapped = pair.copy()
    swapped[:, 25:60] = pair[::-1, 25:60]
    mended, changes = repair(swapped, only("tracks"))
    assert changes == [Change("tracks", 25, 59, order=(1, 0))]
    np.testing.assert_array_equal(mended, pair)


def test_who_comes_back_under_another_id_is_the_same(march: np.ndarray) -> None:
    clip = np.full((2, *march.shape[1:]), np.nan, np.float32)
    clip[0, :30] = march[0, :30]
    clip[1, 33:] = march[0, 33:]
    mended, changes = repair(clip, only("tracks"))
    assert changes == [Change("tracks", 33, march.shape[1] - 1, order=(1, 0))]
    assert np.isnan(mended[1]).all()
    np.testing.assert_array_equal(mended[0, 33:], march[0, 33:])
    again = clip.copy()
    again[1, 33:] += [1.5, 0, 0]  # another person, further away
    assert repair(again, only("tracks"))[1] == []
    padded = np.nan_to_num(clip)  # zeros are nobody, too
    assert len(repair(padded, only("tracks"))[1]) == 1


def test_ids_stay_where_exchanging_them_gains_little(march: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    twins = np.concatenate([march + rng.normal(0, 0.03, march.shape) for _ in range(2)]).astype(np.float32)
    assert repair(twins, only("tracks"))[1] == []
    assert repair(twins, only("tracks", track_gain=1e-6))[1] != []


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 9999),
    persons=st.integers(1, 3),
    frames=st.integers(1, 15),
    channels=st.sampled_from([2, 3]),
    steps=st.sets(st.sampled_from(STEPS)),
)
def test_every_repair_can_be_taken_back(seed: int, persons: int, frames: int, channels: int, steps: set[str]) -> None:
    rng = np.random.default_rng(seed)
    joints = rng.normal(0, 0.3, (persons, frames, 4, channels)).astype(np.float32)
    joints[rng.random(joints.shape[:3]) < 0.2] = np.nan
    joints[rng.random(joints.shape[:2]) < 0.1] = np.nan
    config = RepairConfig(steps=tuple(sorted(steps)), track_gain=0.05)
    before = joints.copy()
    mended, changes = repair(joints, config)
    np.testing.assert_array_equal(joints, before)
    assert mended.dtype == joints.dtype
    record = json.loads(json.dumps([change.to_dict() for change in changes], allow_nan=False))
    assert [Change.from_dict(data) for data in record] == changes
    np.testing.assert_array_equal(undo(mended, changes), joints)
    assert {change.step for change in changes} <= steps


def test_records_are_short() -> None:
    assert Change("gaps", 3, 5, 0, 7).to_dict() == {"step": "gaps", "first": 3, "last": 5, "person": 0, "joint": 7}
    assert Change("tracks", 0, 2, order=(1, 0)).to_dict() == {"step": "tracks", "first": 0, "last": 2, "order": (1, 0)}


def test_steps_are_read_from_words() -> None:
    assert parse_steps("gaps, tracks,gaps") == ("tracks", "gaps")
    assert parse_steps("") == ()
    with pytest.raises(UserError, match="--repair: unknown repair 'gap'; did you mean 'gaps'"):
        parse_steps("jumps,gap")
    with pytest.raises(UserError, match="known: tracks, jumps, gaps"):
        parse_steps("xyz")
