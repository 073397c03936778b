"""MediaPipe's landmarks in the forms in which people write them: one recording, the same joints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from raw_clips import read
from raw_files import walk

from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

NAMES = LAYOUTS["mediapipe33"].joints
WORLD = walk(0, 4, 33)[0].astype(np.float64)
WORLD -= WORLD[:, [23, 24]].mean(1, keepdims=True)
IMAGE = 0.5 + 0.1 * WORLD
Frames = list[list[list[float]]]


def named(frame: list[list[float]], write: Callable[[str], str]) -> dict[str, Any]:
    return {write(name): dict(zip("xyz", place, strict=True)) for name, place in zip(NAMES, frame, strict=True)}


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def as_points(frame: list[list[float]]) -> list[dict[str, float]]:
    return [dict(zip("xyz", place, strict=True)) | {"visibility": 0.9} for place in frame]


FORMS: dict[str, Callable[[Frames], Any]] = {
    "bare lists": lambda frames: frames,
    "bare points": lambda frames: [as_points(frame) for frame in frames],
    "by name": lambda frames: [named(frame, str.upper) for frame in frames],
    "by name in camel case": lambda frames: {"frames": [named(frame, camel) for frame in frames]},
    "by name under a key": lambda frames: [{"pose_world_landmarks": named(frame, str)} for frame in frames],
    "by index": lambda frames: [{str(at): place for at, place in enumerate(frame)} for frame in frames],
    "frames by number": lambda frames: {str(t): as_points(frames[t]) for t in reversed(range(len(frames)))},
    "one list under a key": lambda frames: {"poseWorldLandmarks": [as_points(frame) for frame in frames]},
    "protobuf": lambda frames: [{"pose_world_landmarks": {"landmark": as_points(frame)}} for frame in frames],
    "with image landmarks too": lambda frames: [
        {"pose_landmarks": as_points(image), "pose_world_landmarks": as_points(frame)}
        for image, frame in zip(IMAGE.tolist(), frames, strict=True)
    ],
    "with a frame number": lambda frames: [{"frame": t, "landmarks": frame} for t, frame in enumerate(frames)],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lines", [False, True])
def test_world_landmarks(form: str, lines: bool, tmp_path: Path) -> None:
    data = FORMS[form](WORLD.tolist())
    frames = data.get("frames") if isinstance(data, dict) else data
    if lines and not frames:
        pytest.skip("one mapping has no lines")
    text = "\n".join(json.dumps(frame) for frame in frames) + "\n" if lines else json.dumps(data)
    (tmp_path / f"clip.{'jsonl' if lines else 'json'}").write_text(text)
    (clip,) = read("mediapipe", tmp_path)
    assert clip.name == "clip"
    np.testing.assert_allclose(clip.joints[0], WORLD * [-1, -1, 1], atol=1e-6)


@pytest.mark.parametrize("form", [*FORMS, "without depth"])
def test_image_landmarks(form: str, tmp_path: Path) -> None:
    if form == "with image landmarks too":
        pytest.skip("world landmarks go first")
    data = FORMS[form](IMAGE.tolist()) if form in FORMS else IMAGE[..., :2].tolist()
    text = json.dumps(data).replace("pose_world_landmarks", "pose_landmarks").replace("WorldL", "L")
    (tmp_path / "clip.json").write_text(text)
    (clip,) = read("mediapipe", tmp_path, "aspect=1.5")
    np.testing.assert_allclose(clip.joints[0], -IMAGE[..., :2] * [1.5, 1], atol=1e-6)
    assert clip.dropped == {}
    (clip,) = read("mediapipe", tmp_path)
    np.testing.assert_allclose(clip.joints[0], -IMAGE[..., :2] * [16 / 9, 1], atol=1e-6)
    assert clip.dropped == {"assumed_aspect": 1}


def test_landmarks_that_are_missing_are_not_tracked(tmp_path: Path) -> None:
    frames = [named(frame, str) for frame in WORLD.tolist()]
    for frame in frames:
        del frame["left_knee"]
    (tmp_path / "clip.json").write_text(json.dumps([*frames, {}, None]))
    (clip,) = read("mediapipe", tmp_path)
    lost = np.isnan(clip.joints[0]).all(-1)
    assert lost[:, NAMES.index("left_knee")].all()
    assert lost[4:].all()
    assert lost.sum() == 4 + 2 * 33


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "clip.jsonl").write_text(json.dumps(WORLD[0].tolist()) + '\n[{"x": 1\n')
    with pytest.raises(UserError, match=r"clip\.jsonl: line 2: is damaged, not JSON"):
        read("mediapipe", tmp_path)
