"""Audit of single clips: sound ones pass, each planted defect is found by its name, nothing odd makes it stumble."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_skel.data.audit.clips import KINDS, Anatomy, exchanged, inspect_clip, mean_bone, spikes, unit_length
from ssl_skel.data.audit.limits import Limits
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.synthetic import SyntheticConfig, generate
from ssl_skel.data.synthetic.skeleton import LAYOUT
from ssl_skel.layouts import LAYOUTS

LIMITS = Limits()
J = LAYOUT.joints.index
Defect = Callable[[np.ndarray], None]


@pytest.fixture(scope="module")
def sound() -> dict[str, np.ndarray]:
    """Clips as a good sensor gives them, normalised; some have two persons."""
    config = SyntheticConfig(subjects=2, cameras=2, repetitions=1, dropout=0, noise=0.005)
    return {clip.name: normalize(clip.joints, LAYOUT, NormalizeConfig())[0] for clip in generate(config)}


@pytest.fixture
def clip(sound: dict[str, np.ndarray]) -> np.ndarray:
    return sound["march_s01_r0_c1"].copy()


@pytest.fixture
def pair(sound: dict[str, np.ndarray]) -> np.ndarray:
    return sound["shake_hands_s01_r0_c1"].copy()


def kinds(joints: np.ndarray, anatomy: Anatomy | None = None, limits: Limits = LIMITS) -> dict[str, float]:
    found = inspect_clip(joints, anatomy or Anatomy(LAYOUT), limits)
    assert len({finding.kind for finding in found}) == len(found)
    assert all(finding.kind in KINDS for finding in found)
    return {finding.kind: finding.value for finding in found}


def test_sound_clips_give_no_finding(sound: dict[str, np.ndarray]) -> None:
    assert len(sound) == 52
    assert {len(joints) for joints in sound.values()} == {1, 2}
    assert {name: kinds(joints) for name, joints in sound.items() if kinds(joints)} == {}


def jump(x: np.ndarray) -> None:
    x[:, 20:] += [0.6, 0.0, 0.2]


def spike(x: np.ndarray) -> None:
    x[0, 30:32, J("left_wrist")] += [0.0, 0.8, 0.0]


def drift(x: np.ndarray) -> None:
    forearm = x[0, 20:, J("left_wrist")] - x[0, 20:, J("left_elbow")]
    for joint in ("left_wrist", "left_hand", "left_hand_tip", "left_thumb"):
        x[0, 20:50, J(joint)] += forearm[:30] / np.linalg.norm(forearm[:30], axis=-1, keepdims=True) * 0.4


def swap(x: np.ndarray) -> None:
    x[0, 25:] = x[0, 25:, list(LAYOUT.mirror)].swapaxes(0, 1)


def mirrored(x: np.ndarray) -> None:
    arms = [j for name, group in zip(LAYOUT.body_names, LAYOUT.body, strict=True) for j in group if "arm" in name]
    for left in [j for j in arms if LAYOUT.joints[j].startswith("left")]:
        right = LAYOUT.mirror[left]
        x[0, :, [left, right]] = x[0, :, [right, left]]


def frozen(x: np.ndarray) -> None:
    x[0, 10:18, J("head")] = x[0, 10, J("head")]


def filled(x: np.ndarray) -> None:
    t = np.linspace(0, 1, 9, dtype=np.float32)[:, None]
    x[0, 10:19, J("left_hand")] = x[0, 10, J("left_hand")] * (1 - t) + x[0, 18, J("left_hand")] * t


def missing(x: np.ndarray) -> None:
    x[0, :, J("right_thumb")] = x[0, :, J("right_hand")]


def too_large(x: np.ndarray) -> None:
    x *= 2


def too_small(x: np.ndarray) -> None:
    x *= 0.4


def still(x: np.ndarray) -> None:
    x[:] = x[:, :1]


@pytest.mark.parametrize(
    ("defect", "kind", "value"),
    [
        (jump, "jump", 0.63),
        (spike, "spike", 0.8),
        (drift, "bone_length_variance", None),
        (swap, "swap", None),
        (mirrored, "mirrored", -0.9),
        (frozen, "frozen", 7.0),
        (filled, "filled", 7.0),
        (missing, "missing", 1.0),
        (too_large, "size", None),
        (too_small, "size", None),
        (still, "still", None),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_planted_defect_is_found_and_nothing_else(
    clip: np.ndarray, defect: Defect, kind: str, value: float | None
) -> None:
    defect(clip)
    found = kinds(clip)
    assert kind in found
    allowed = {
        "swap": {"swap", "mirrored"},
        "mirrored": {"mirrored", "bone_length_variance"},
        "size": {"size", "spike"},
    }
    assert set(found) <= allowed.get(kind, {kind})
    if value is not None:
        assert found[kind] == pytest.approx(value, abs=0.15)


def test_one_frame_is_told(clip: np.ndarray) -> None:
    assert kinds(clip[:, :1]) == {"one_frame": 1.0}


def test_two_persons_exchanged_and_one_person_tracked_twice(pair: np.ndarray) -> None:
    assert kinds(pair) == {}
    twins = pair.copy()
    twins[1] = twins[0] + np.random.default_rng(0).normal(0, 0.02, twins[0].shape)
    assert set(kinds(twins)) == {"duplicate_person"}
    pair[:, 40:] = pair[::-1, 40:]
    found = kinds(pair)
    assert found.keys() >= {"persons_swap"}
    assert "swap" not in found


def test_a_leap_little_over_the_limit_is_found(clip: np.ndarray) -> None:
    clip[0, 30, J("head")] += [0.0, 0.53, 0.0]
    assert set(kinds(clip)) == {"spike"}
    clip[0, 30, J("head")] -= [0.0, 0.06, 0.0]
    assert kinds(clip) == {}


def test_places_are_told(clip: np.ndarray) -> None:
    spike(clip)
    (finding,) = inspect_clip(clip, Anatomy(LAYOUT), LIMITS)
    assert finding.where == "person 0 frame 30 left_wrist"


@pytest.mark.parametrize(("defect", "limit"), [(jump, "jump"), (spike, "spike"), (frozen, "still_frames")])
def test_a_limit_decides(clip: np.ndarray, defect: Defect, limit: str) -> None:
    defect(clip)
    value = kinds(clip)[next(iter(kinds(clip)))]
    raised = Limits(**{limit: int(value) + 1 if limit.endswith("frames") else 2 * value})
    assert kinds(clip, limits=raised) == {}


def test_a_centred_joint_is_not_frozen(clip: np.ndarray) -> None:
    clip -= clip[:1, :, [LAYOUT.centre]]
    assert set(kinds(clip)) == {"frozen"}
    assert kinds(clip, Anatomy(LAYOUT, frame_centred=True)) == {}


def test_half_precision_is_not_taken_for_filled_gaps(clip: np.ndarray) -> None:
    filled(clip)
    rounded = clip.astype(np.float16).astype(np.float32)
    assert kinds(rounded, Anatomy(LAYOUT, half=True)) == {}


def test_other_units_are_given_a_length(sound: dict[str, np.ndarray], clip: np.ndarray) -> None:
    bones = np.array([mean_bone(joints, LAYOUT) for joints in sound.values()])
    metres = unit_length(bones / np.median(bones))
    assert metres == pytest.approx(0.22)
    jump(clip)
    scaled = clip / np.median(bones)
    assert set(kinds(scaled, Anatomy(LAYOUT, metres=metres))) == {"jump"}
    assert unit_length(np.zeros(0)) == 1.0


@settings(max_examples=60, deadline=None)
@given(
    persons=st.integers(1, 3),
    frames=st.integers(1, 12),
    layout=st.sampled_from(sorted(LAYOUTS)),
    channels=st.sampled_from([2, 3]),
    size=st.sampled_from([0.0, 1e-30, 1e-3, 1.0, 1e6]),
    moving=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_no_clip_is_too_odd(
    persons: int, frames: int, layout: str, channels: int, size: float, moving: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    joints = np.repeat(rng.normal(0, 1, (persons, 1, LAYOUTS[layout].num_joints, channels)) * size, frames, 1)
    joints[:, :, :moving] += rng.normal(0, 1, joints[:, :, :moving].shape) * size
    found = kinds(joints.astype(np.float32), Anatomy(LAYOUTS[layout], channels))
    assert np.isfinite(list(found.values())).all()
    assert ("one_frame" in found) == (frames == 1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), longest=st.integers(1, 4))
def test_spikes_are_the_naive_loop(seed: int, longest: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.integers(0, 2, (2, 9, 3, 1)) * rng.normal(0, 1, 3) + rng.normal(0, 0.02, (2, 9, 3, 3))).astype(np.float32)
    expected = np.zeros((2, 9, 3), bool)
    for m in range(2):
        for v in range(3):
            for length in range(1, longest + 1):
                for first in range(1, 9 - length):
                    a, b = x[m, first - 1, v], x[m, first + length, v]
                    line = [a + (b - a) * k / (length + 1) for k in range(1, length + 1)]
                    away = [np.linalg.norm(x[m, first + k, v] - line[k]) > 0.5 for k in range(length)]
                    if np.linalg.norm(b - a) < 0.5 and all(away):
                        expected[m, first : first + length, v] = True
    np.testing.assert_array_equal(spikes(x, 0.5, longest), expected)


def test_exchanged_needs_a_distance() -> None:
    a, b = np.zeros((4, 2, 3)), np.full((4, 2, 3), 0.2)
    a[2:], b[2:] = b[2:].copy(), a[2:].copy()
    swapped, moved = exchanged(a, b, 0.2)
    assert swapped.tolist() == [False, True, False]
    assert moved[1] == pytest.approx(2 * 0.2 * 3**0.5)
    assert not exchanged(a * 0.1, b * 0.1, 0.2)[0].any()


def test_findings_in_real_recordings(real_data: Path) -> None:
    """The figures in brackets in ``Limits``."""
    from ssl_skel.data.readers.nw_ucla import NwUclaReader

    reader = NwUclaReader(real_data / "nw_ucla" / "all_sqe")
    counts = dict.fromkeys(KINDS, 0)
    anatomy = Anatomy(reader.layout)
    for file in reader.files():
        for clip in reader.read(file):
            joints = clip.joints - clip.joints[:1, :1, [reader.layout.centre]]
            for kind in kinds(joints, anatomy):
                counts[kind] += 1
    found = {kind: count for kind, count in counts.items() if count}
    assert found == {"one_frame": 2, "jump": 57, "spike": 57, "bone_length_variance": 21, "swap": 11, "mirrored": 3}
