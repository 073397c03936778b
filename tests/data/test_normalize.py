"""Normalisation against naive loops, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_skel.config import parse_config
from ssl_skel.data.normalize import NormalizeConfig, alike, fill, normalize, parse_normalization, record
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout

KINECT = LAYOUTS["kinect20"]


def motion(seed: int, persons: int = 1, frames: int = 9, layout: SkeletonLayout = KINECT) -> np.ndarray:
    """A body of random shape that wanders about, (M, T, V, 3); joints well apart."""
    rng = np.random.default_rng(seed)
    body = rng.normal(size=(persons, 1, layout.num_joints, 3))
    path = rng.normal(size=(persons, frames, 1, 3)).cumsum(1)
    return body + 0.3 * path + 0.02 * rng.normal(size=(persons, frames, layout.num_joints, 3)) + 3


def gaps(seed: int, shape: tuple[int, ...], share: float) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < share


def naive_fill(joints: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    filled = joints.copy()
    persons, frames, count, channels = joints.shape
    for m in range(persons):
        seen = []
        for v in range(count):
            known = [t for t in range(frames) if np.isfinite(joints[m, t, v]).all()]
            if known:
                seen.append(v)
                for c in range(channels):
                    filled[m, :, v, c] = np.interp(range(frames), known, joints[m, known, v, c])
        place = {v: filled[m, :, v].copy() for v in seen}
        for v in range(count):
            at = v
            while at not in place and at != layout.root:
                at = layout.parents[at]
            filled[m, :, v] = place[at] if at in place else np.mean([place[s] for s in seen], 0)
    return filled


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999), frames=st.integers(1, 8), share=st.floats(0, 0.9), name=st.sampled_from(sorted(LAYOUTS))
)
def test_fill_is_the_naive_loop(seed: int, frames: int, share: float, name: str) -> None:
    layout = LAYOUTS[name]
    joints = motion(seed, 2, frames, layout)
    hidden = gaps(seed, joints.shape[:3], share)
    hidden[:, :, seed % layout.num_joints] = True  # one joint is never seen
    hidden[:, seed % frames, (seed + 1) % layout.num_joints] = False  # and one is
    joints[hidden, seed % 3] = [np.nan, np.inf][seed % 2]
    np.testing.assert_allclose(fill(joints, layout), naive_fill(joints, layout), atol=1e-12)


def test_fill_leaves_whole_clips_alone() -> None:
    joints = motion(0)
    assert fill(joints, KINECT) is joints


def test_a_joint_never_seen_takes_its_parents_place() -> None:
    joints = motion(1)
    elbow, wrist, hand = (KINECT.joints.index(f"left_{name}") for name in ("elbow", "wrist", "hand"))
    joints[:, :, [wrist, hand]] = np.nan
    filled = fill(joints, KINECT)
    np.testing.assert_array_equal(filled[:, :, wrist], joints[:, :, elbow])
    np.testing.assert_array_equal(filled[:, :, hand], joints[:, :, elbow])
    joints[:, :, KINECT.root] = np.nan
    rest = [j for j in range(20) if j not in (wrist, hand, KINECT.root)]
    np.testing.assert_allclose(fill(joints, KINECT)[:, :, KINECT.root], joints[:, :, rest].mean(2))


def test_filled_positions_are_counted() -> None:
    joints = motion(2, persons=2)
    joints[0, 3, 4] = np.nan
    joints[1, :, 5, 0] = np.inf
    result, filled = normalize(joints, KINECT, NormalizeConfig())
    assert filled == 1 + joints.shape[1]
    assert np.isfinite(result).all()
    assert result.dtype == np.float32


def naive_order(joints: np.ndarray) -> list[int]:
    """By the variance of x, y and z over all tracked joints, taken together."""
    moved = []
    for person in joints:
        rows = [joint for frame in person for joint in frame if np.isfinite(joint).all()]
        moved.append(sum(np.var([row[axis] for row in rows]) for axis in range(3)))
    return sorted(range(len(moved)), key=lambda person: -moved[person])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), late=st.integers(0, 6))
def test_persons_are_ordered_by_what_was_tracked(seed: int, late: int) -> None:
    rng = np.random.default_rng(seed)
    joints = motion(seed, persons=3) * rng.uniform(0.8, 1.2, (3, 1, 1, 1))
    joints[1, :late] = np.nan
    joints[2, rng.integers(joints.shape[1]), :, rng.integers(3)] = np.inf
    result, _ = normalize(joints, KINECT, NormalizeConfig(centre="none"))
    order = naive_order(joints)
    seen = np.isfinite(joints[order]).all(-1)
    np.testing.assert_allclose(result[seen], joints[order][seen], rtol=1e-6)


def test_a_pose_that_is_held_is_no_rest() -> None:
    """Somebody who comes late is not calmer for the frames in which nobody saw them."""
    joints = np.stack([motion(0)[0], 3 * motion(1)[0]])
    assert naive_order(joints) == [1, 0]
    joints[1, 1:] = np.nan
    assert naive_order(joints) == [1, 0]
    result, _ = normalize(joints, KINECT, NormalizeConfig(centre="none"))
    np.testing.assert_allclose(result[1], joints[0], rtol=1e-6)
    former, _ = normalize(joints, KINECT, NormalizeConfig(centre="none", order_persons="per_joint"))
    np.testing.assert_allclose(former[0], joints[0], rtol=1e-6)


def test_an_ordered_clip_stays_so_under_the_rule_it_was_ordered_by() -> None:
    joints = motion(0, persons=2) * np.array([1.0, 2.0])[:, None, None, None]
    for rule, first in (("pooled", 0), ("none", 0), ("per_joint", 1)):
        how = parse_config(NormalizeConfig, {"centre": "none", "order_persons": rule}, "test")
        np.testing.assert_allclose(normalize(joints, KINECT, how, ordered=True)[0][0], joints[first], rtol=1e-6)


def test_records_that_name_no_rule_are_of_the_former_one() -> None:
    """So that an encoder of that time normalises new recordings as it learnt, and is told apart from new stores."""
    old = {"centre": "first", "orient": False, "scale": False, "order_persons": True, "units": "metres", "filled": 3}
    former = parse_normalization(old, "meta.json")
    assert former == NormalizeConfig(order_persons="per_joint")
    assert parse_normalization(old | {"order_persons": False}, "meta.json") == NormalizeConfig(order_persons="none")
    new = NormalizeConfig()
    assert parse_normalization(record(new, 3), "meta.json") == new
    assert former is not None
    assert not alike(former, new, persons=2)
    assert alike(former, new, persons=1)
    assert not alike(former, new.model_copy(update={"orient": True}), persons=1)


def test_centre_on_the_first_frame_keeps_the_path() -> None:
    joints = motion(3, persons=2)
    result, _ = normalize(joints, KINECT, NormalizeConfig(order_persons="none"))
    np.testing.assert_allclose(result, joints - joints[0, 0, KINECT.centre], atol=1e-5)
    joints[0, :2, KINECT.centre] = np.nan  # then the first frame in which it was tracked
    result, _ = normalize(joints, KINECT, NormalizeConfig(order_persons="none"))
    np.testing.assert_allclose(result[0, 2, KINECT.centre], 0, atol=1e-6)
    np.testing.assert_allclose(result[1], joints[1] - joints[0, 2, KINECT.centre], atol=1e-5)


def test_centre_on_each_frame_and_not_at_all() -> None:
    joints = motion(4, persons=2)
    result, _ = normalize(joints, KINECT, NormalizeConfig(centre="frame", order_persons="none"))
    expected = np.stack([joints[:, t] - joints[0, t, KINECT.centre] for t in range(joints.shape[1])], 1)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    result, _ = normalize(joints, KINECT, NormalizeConfig(centre="none", order_persons="none"))
    np.testing.assert_allclose(result, joints, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), shift=st.tuples(*[st.floats(-5, 5)] * 3), centre=st.sampled_from(["first", "frame"]))
def test_a_centred_clip_forgets_where_it_stood(seed: int, shift: tuple[float, ...], centre: str) -> None:
    joints = motion(seed, persons=2)
    config = parse_config(NormalizeConfig, {"centre": centre}, "test")
    here, there = (normalize(clip, KINECT, config)[0] for clip in (joints, joints + shift))
    np.testing.assert_allclose(here, there, atol=1e-4)


def test_aligned_persons_forget_how_each_was_turned() -> None:
    """InfoGCN's alignment: spine along y, shoulders in the x-y plane, each person by itself; never mirrored."""
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(2, 6, 20, 3)).cumsum(1) * 0.1 + rng.normal(size=(2, 1, 20, 3))
    config = NormalizeConfig(centre="none", align=True, order_persons="none")
    plain, _ = normalize(joints, KINECT, config)
    hips, spine, left, right = (
        KINECT.joints.index(j) for j in ("hip_centre", "spine", "left_shoulder", "right_shoulder")
    )
    for person in plain[:, 0]:
        np.testing.assert_allclose((person[spine] - person[hips])[[0, 2]], 0, atol=1e-6)
        across = person[right] - person[left]
        assert across[0] > 0
        assert abs(across[2]) < 1e-6
    turns = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(2)]
    turns = [turn * np.sign(np.linalg.det(turn)) for turn in turns]
    turned = np.stack([person @ turn.T for person, turn in zip(joints, turns, strict=True)])
    np.testing.assert_allclose(normalize(turned, KINECT, config)[0], plain, atol=1e-5)
    mirrored, _ = normalize(joints * np.array([-1, 1, 1]), KINECT, config)
    assert np.abs(mirrored - plain).max() > 0.1
    gap = joints.copy()
    gap[:, 0, spine] = np.nan  # the second frame is the first in which all four joints were tracked
    across = (lambda person: person[right] - person[left])(normalize(gap, KINECT, config)[0][0, 1])
    assert abs(across[2]) < 1e-6


def test_what_cannot_be_aligned_is_refused() -> None:
    with pytest.raises(
        UserError, match="align: the layout mediapipe33 has no spine between its root and left_shoulder"
    ):
        normalize(np.ones((1, 2, 33, 3)), LAYOUTS["mediapipe33"], NormalizeConfig(align=True))
    with pytest.raises(UserError, match="align: clips with two coordinates"):
        normalize(np.ones((1, 2, 20, 2)), KINECT, NormalizeConfig(align=True))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), yaw=st.floats(-3.1, 3.1))
def test_an_oriented_clip_forgets_where_the_camera_stood(seed: int, yaw: float) -> None:
    joints = motion(seed, persons=2)
    cos, sin = np.cos(yaw), np.sin(yaw)
    turned = joints @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    config = NormalizeConfig(orient=True)
    here, there = (normalize(clip, KINECT, config)[0] for clip in (joints, turned))
    np.testing.assert_allclose(here, there, atol=1e-4)


def test_orientation_is_exact_for_a_stiff_body_and_never_mirrors() -> None:
    joints = np.repeat(motion(5, frames=1), 6, 1)
    result, _ = normalize(joints, KINECT, NormalizeConfig(orient=True))
    left, right = (result[0, 0, joint] for joint in KINECT.across)
    assert right[0] > left[0]
    assert right[2] == pytest.approx(left[2], abs=1e-5)
    np.testing.assert_allclose(result[0, :, :, 1], joints[0, :, :, 1] - joints[0, 0, KINECT.centre, 1], atol=1e-5)
    frame = (
        [joints[0, 0, j] - joints[0, 0, 0] for j in (3, 7, 15)],
        [result[0, 0, j] - result[0, 0, 0] for j in (3, 7, 15)],
    )
    assert np.linalg.det(frame[0]) == pytest.approx(np.linalg.det(frame[1]), rel=1e-4)


def test_one_bad_frame_does_not_turn_the_clip() -> None:
    joints = np.repeat(motion(6, frames=1), 8, 1)
    joints[0, 0, list(KINECT.across)] = joints[0, 0, list(KINECT.across)][::-1]  # shoulders swapped by the tracker
    good, _ = normalize(joints[:, 1:], KINECT, NormalizeConfig(orient=True))
    bad, _ = normalize(joints, KINECT, NormalizeConfig(orient=True))
    np.testing.assert_allclose(bad[:, 1:], good, atol=1e-5)


def test_shoulders_that_fall_together_leave_the_clip_unturned() -> None:
    joints = motion(7)
    joints[:, :, KINECT.across[0]] = joints[:, :, KINECT.across[1]]
    plain, turned = (normalize(joints, KINECT, NormalizeConfig(orient=o))[0] for o in (False, True))
    np.testing.assert_array_equal(plain, turned)


def test_two_coordinates_have_no_heading() -> None:
    joints = motion(8)[..., :2]
    assert normalize(joints, KINECT, NormalizeConfig(scale=True))[0].shape == joints.shape
    with pytest.raises(UserError, match="orient"):
        normalize(joints, KINECT, NormalizeConfig(orient=True))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), size=st.floats(0.1, 10))
def test_a_scaled_clip_forgets_how_large_it_was(seed: int, size: float) -> None:
    joints = motion(seed, persons=2)
    config = NormalizeConfig(scale=True)
    here, there = (normalize(clip, KINECT, config)[0] for clip in (joints, size * joints))
    np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-4)
    lengths = [
        np.mean([np.linalg.norm(here[0, t, c] - here[0, t, p]) for c, p in KINECT.bones]) for t in range(here.shape[1])
    ]
    assert np.median(lengths) == pytest.approx(1, abs=1e-4)


def test_a_body_without_extent_is_not_scaled() -> None:
    joints = np.ones((1, 3, 20, 3))
    assert np.isfinite(normalize(joints, KINECT, NormalizeConfig(scale=True))[0]).all()


def test_the_person_who_moves_most_comes_first() -> None:
    joints = motion(9, persons=3)
    joints[0] = joints[0, :1]  # stands still
    joints[2] = joints[2, :1] + 5 * (joints[2] - joints[2, :1])
    result, _ = normalize(joints, KINECT, NormalizeConfig(centre="none"))
    np.testing.assert_allclose(result, joints[[2, 1, 0]], atol=1e-4)
    result, _ = normalize(joints, KINECT, NormalizeConfig(centre="none", order_persons="none"))
    np.testing.assert_allclose(result, joints, atol=1e-4)


@pytest.mark.parametrize("nobody", [np.nan, np.inf, 0.0])
def test_persons_never_tracked_are_dropped(nobody: float) -> None:
    joints = motion(10, persons=3)
    joints[1] = nobody
    result, filled = normalize(joints, KINECT, NormalizeConfig(centre="none", order_persons="none"))
    np.testing.assert_allclose(result, joints[[0, 2]], atol=1e-5)
    assert filled == 0


def test_a_clip_of_one_frame_and_one_joint() -> None:
    joints = np.full((1, 1, 20, 3), np.nan)
    joints[0, 0, 7] = [1, 2, 3]
    config = NormalizeConfig(orient=True, scale=True)
    result, filled = normalize(joints, KINECT, config)
    assert filled == 19
    np.testing.assert_array_equal(result, 0)


def test_the_input_is_left_alone() -> None:
    joints = motion(11, persons=2)
    joints[0, 2, 3] = np.nan
    before = joints.copy()
    normalize(joints, KINECT, NormalizeConfig(orient=True, scale=True))
    np.testing.assert_array_equal(joints, before)


def test_units_are_told() -> None:
    assert NormalizeConfig().units == "metres"
    assert NormalizeConfig(scale=True).units == "mean bone lengths"
