"""Maps between layouts: known places, identities, mirror symmetry over every pair, NaN, and a naive average."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_skel.layouts import LAYOUTS, SkeletonLayout
from ssl_skel.layouts.mapping import MIDDLE, STAND_INS, SYNONYMS, JointMap, joint_map

BODIES = sorted(set(LAYOUTS) - {"hand21"})


def points(layout: str | SkeletonLayout, *axes: int, seed: int = 0) -> np.ndarray:
    layout = LAYOUTS[layout] if isinstance(layout, str) else layout
    return np.random.default_rng(seed).normal(size=(*axes, layout.num_joints, 3)).astype(np.float32)


def mapping(source: str, target: str) -> JointMap:
    return joint_map(LAYOUTS[source], LAYOUTS[target])


def parts(source: str, target: str, joint: str) -> dict[str, float]:
    found = mapping(source, target)
    row = found.weights[found.target.joints.index(joint)]
    return {found.source.joints[at]: float(row[at]) for at in np.flatnonzero(row)}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_onto_itself_changes_nothing(name: str) -> None:
    joints = points(name, 2, 4)
    np.testing.assert_array_equal(mapping(name, name)(joints), joints)


@pytest.mark.parametrize(
    ("source", "between"),
    [("kinect20", "ntu25"), ("kinect20", "msr20"), ("sbu15", "kinect20"), ("sbu15", "ntu25"), ("florence15", "ntu25")],
)
def test_there_and_back_changes_nothing(source: str, between: str) -> None:
    joints = points(source, 3)
    np.testing.assert_array_equal(mapping(between, source)(mapping(source, between)(joints)), joints)


@pytest.mark.parametrize("target", LAYOUTS)
def test_every_map_is_made_of_averages_and_symmetric(target: str) -> None:
    for source in LAYOUTS:
        found = mapping(source, target)
        sums = found.weights.sum(1)
        assert (found.weights >= 0).all()
        assert ((abs(sums - 1) < 1e-6) | (sums == 0)).all()
        assert found.missing == tuple(joint for joint, sum in zip(found.target.joints, sums, strict=True) if sum == 0)
        swapped = found.weights[list(found.target.mirror)][:, list(found.source.mirror)]
        np.testing.assert_array_equal(swapped, found.weights, err_msg=f"{source} -> {target}")


@pytest.mark.parametrize("source", BODIES)
def test_all_bodies_give_the_common_joints(source: str) -> None:
    assert mapping(source, "common15").missing == ()
    assert mapping("hand21", source).missing == LAYOUTS[source].joints


def test_known_places() -> None:
    assert parts("kinect20", "ntu25", "spine_base") == {"hip_centre": 1}
    assert parts("kinect20", "ntu25", "neck") == {"shoulder_centre": 1}
    assert parts("coco17", "kinect20", "hip_centre") == {"left_hip": 0.5, "right_hip": 0.5}
    assert parts("coco17", "kinect20", "shoulder_centre") == {"left_shoulder": 0.5, "right_shoulder": 0.5}
    assert parts("coco17", "kinect20", "head") == {"left_ear": 0.5, "right_ear": 0.5}
    assert parts("coco17", "kinect20", "spine") == dict.fromkeys(
        ("left_shoulder", "right_shoulder", "left_hip", "right_hip"), 0.25
    )
    assert parts("mediapipe33", "kinect20", "left_hand") == {"left_pinky": 0.5, "left_index": 0.5}
    assert parts("openpose25", "ntu25", "right_foot") == {"right_big_toe": 0.5, "right_small_toe": 0.5}
    assert parts("sbu15", "common15", "left_wrist") == {"left_hand": 1}
    assert parts("smpl24", "hdm05-31", "lower_back") == {"spine1": 1}
    assert parts("kinect20", "smpl24", "right_collar") == {"shoulder_centre": 0.5, "right_shoulder": 0.5}


def test_reordered_joints_keep_their_names() -> None:
    found = mapping("kinect20", "msr20")
    joints = points("kinect20", 2)
    for row, name in enumerate(found.target.joints):
        np.testing.assert_array_equal(found(joints)[:, row], joints[:, LAYOUTS["kinect20"].joints.index(name)])


@pytest.mark.parametrize(("source", "target"), [("coco17", "ntu25"), ("kinect20", "coco17"), ("mediapipe33", "sbu15")])
@pytest.mark.parametrize("channels", [2, 3])
def test_a_naive_loop_agrees(source: str, target: str, channels: int) -> None:
    found = mapping(source, target)
    joints = points(source, 2, 5)[..., :channels]
    joints[0, 1, 3] = np.nan
    joints[1, 2, 5, 1] = np.inf
    mapped = found(joints)
    assert mapped.dtype == np.float32
    for person, frame, row in np.ndindex(*mapped.shape[:3]):
        needed = [(found.weights[row, at], joints[person, frame, at]) for at in np.flatnonzero(found.weights[row])]
        known = bool(needed) and all(np.isfinite(place).all() for _, place in needed)
        expected = sum(share * place for share, place in needed) if known else np.full(channels, np.nan)
        np.testing.assert_allclose(mapped[person, frame, row], expected, rtol=1e-5, atol=1e-6)


def test_the_tables_speak_one_language() -> None:
    words = [word for row in SYNONYMS for word in row]
    assert len(words) == len(set(words))
    firsts = {row[0] for row in SYNONYMS}
    assert not set(STAND_INS) & (set(words) - firsts), "a stand-in is told under the first of its synonyms"
    for word, alternatives in STAND_INS.items():
        sided = {member.startswith(("left_", "right_")) for members in alternatives for member in members}
        if any(sided):
            assert word in MIDDLE, f"{word} has a side, so its stand-ins may not name one"
