"""Clips in a page: what is lost, what is left out, and how sides are told."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
import pytest

from ssl_skel.layouts import LAYOUTS, parse_layout
from ssl_skel.view.draw.clips import RenderableClip, pack, sides, unpack


def clip(persons: int = 2, frames: int = 40, layout: str = "ntu25", channels: int = 3, seed: int = 0) -> RenderableClip:
    own = LAYOUTS[layout]
    joints = np.random.default_rng(seed).normal(size=(persons, frames, own.num_joints, channels))
    return RenderableClip("a clip", joints, own)


def test_coordinates_are_off_by_no_more_than_stated() -> None:
    joints = clip().joints * 2 + [5, 0, -3]
    (packed,) = pack([replace(clip(), joints=joints)])["clips"]
    extent = np.ptp(joints.reshape(-1, 3), axis=0).max()
    error = np.abs(unpack(packed) - joints).max()
    assert extent / 131068 * 0.5 < error <= extent / 131068 * 1.001
    assert (packed["frames"], packed["persons"], packed["fps"]) == (40, 2, 30.0)


def test_what_is_not_there_stays_so() -> None:
    joints = clip().joints
    joints[0, 3, 7] = np.nan
    joints[1, :, 2, 1] = np.inf
    seen = unpack(pack([replace(clip(), joints=joints)])["clips"][0])
    there = np.isfinite(joints).all(-1)
    assert np.array_equal(np.isfinite(seen).all(-1), there)
    np.testing.assert_allclose(seen[there], joints[there], atol=1e-3)
    nothing = pack([replace(clip(), joints=np.full_like(joints, np.nan))])["clips"][0]
    assert np.isnan(unpack(nothing)).all()


def test_a_clip_that_stands_still() -> None:
    joints = np.ones((1, 1, 25, 3))
    np.testing.assert_allclose(unpack(pack([replace(clip(), joints=joints)])["clips"][0]), joints, atol=1e-6)


def test_long_clips_lose_frames_evenly_and_keep_their_length() -> None:
    long, short = clip(frames=3000), clip(frames=30, seed=1)
    first, second = pack([long, short], budget=120_000)["clips"]
    assert second["frames"] == 30
    assert first["frames"] == 60_000 // (2 * 25 * 6)
    assert first["frames"] / first["fps"] == pytest.approx(long.seconds)
    kept = np.linspace(0, 2999, first["frames"]).round().astype(int)
    np.testing.assert_allclose(unpack(first), long.joints[:, kept], atol=1e-3)


def test_heat_travels_in_bytes_and_is_cut_to_its_range() -> None:
    given = np.linspace(-2, 2, 2 * 40 * 25).reshape(2, 40, 25)
    (packed,) = pack([replace(clip(), heat=given)])["clips"]
    seen = np.frombuffer(base64.b64decode(packed["heat"]), np.int8).reshape(given.shape)
    np.testing.assert_allclose(seen / 127, given.clip(-1, 1), atol=0.5 / 127 + 1e-9)


def test_clips_in_two_coordinates_lie_in_one_plane() -> None:
    flat = clip(1, 5, "coco17", 2)
    seen = unpack(pack([flat])["clips"][0])
    np.testing.assert_allclose(seen[..., :2], flat.joints, atol=1e-3)
    assert np.abs(seen[..., 2]).max() < 1e-3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"joints": np.zeros((2, 4, 24, 3))}, "joints must be"),
        ({"joints": np.zeros((1, 0, 25, 3))}, "joints must be"),
        ({"heat": np.zeros((1, 40, 25))}, "heat must be"),
        ({"fps": 0.0}, "fps must be"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(clip(), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_sides_follow_the_names(name: str) -> None:
    layout = LAYOUTS[name]
    for joint, side in zip(layout.joints, sides(layout), strict=True):
        assert side == ("L" if "left" in joint else "R" if "right" in joint else "C")


def test_sides_of_nameless_pairs_follow_the_line_across() -> None:
    told = {
        "name": "own",
        "joints": ["base", "a1", "a2", "b1", "b2"],
        "bones": {"a1": "base", "a2": "a1", "b1": "base", "b2": "b1"},
        "mirror": [["a1", "b1"], ["a2", "b2"]],
        "centre": "base",
        "across": ["b1", "a1"],
        "body": {"all": ["base", "a1", "a2", "b1", "b2"]},
        "part": {"all": ["base", "a1", "a2", "b1", "b2"]},
    }
    assert sides(parse_layout(told, "own")) == "CRRLL"
