"""MediaPipe Pose, saved as JSON: a file a recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from ssl_skel.config import Section
from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.described import DescribedReader, name_of
from ssl_skel.data.readers.description import Description, to_metres
from ssl_skel.data.readers.estimators import EstimatorOptions, follow, read_json
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout

_KEYS = ("pose_world_landmarks", "poseWorldLandmarks", "world_landmarks", "worldLandmarks")
_JOINTS = 33
_HIPS = [LAYOUTS["mediapipe33"].joints.index(joint) for joint in ("left_hip", "right_hip")]
_OFF_CENTRE = 0.05  # world landmarks count from the middle of the hips


class MediaPipeDescription(Description, EstimatorOptions):
    """``recordings.yaml`` in a folder of MediaPipe's results."""

    up: Literal["y", "z", "-y"] = "-y"
    """Which axis points up; MediaPipe's y grows downwards."""

    aspect: float = Field(default=0.0, ge=0.0)
    """Width of the images divided by their height, 1.778 for 1920 x 1080: needed for image landmarks, whose x and y
    both run from 0 to 1. 0: unknown."""


class MediaPipeReader(DescribedReader):
    """JSON files ``<class>/<name>.json``, described by ``recordings.yaml`` (see ``DescribedReader``).

    A file holds a list of frames, or a mapping with such a list as ``frames``.

    A frame holds, under any of the names MediaPipe's interfaces use (``pose_world_landmarks``, ``worldLandmarks``, …),
    33 landmarks (or is the list of them itself), a
    list of persons with 33 each, or nothing where nobody was found. A landmark is a mapping with x, y,
    z and perhaps visibility, or a list of these numbers.

    World landmarks are metres about the middle of the hips, in each frame, so a path through the room is not in them; y
    grows downwards. They are turned by half a turn about z (never mirrored). Bare lists may be image landmarks, which
    do not count from the hips; they are read as 2D, in heights of the image (``aspect``).
    """

    layout = LAYOUTS["mediapipe33"]
    Options = MediaPipeDescription
    options: MediaPipeDescription
    pattern = "**/*.json"
    example = "wave/clip01.json"
    suffixes = (".json",)

    def __init__(self, source: Path, layout: str | None = None, options: Section | None = None) -> None:
        self._refuse_layout(layout)
        super().__init__(source, None, options)

    def _own_layout(self, files: list[Path]) -> SkeletonLayout:
        self._refuse_layout(self.options.layout or None)
        return self.layout

    def read(self, file: Path) -> Iterator[RawClip]:
        data = read_json(file)
        frames = data.get("frames") if isinstance(data, Mapping) else data
        if not isinstance(frames, list) or not frames:
            raise UserError(f"{file}: frames: missing or empty; write a list of frames")
        persons = [_persons(file, t, frame, self.options.min_score) for t, frame in enumerate(frames)]
        joints, dropped = follow(persons, self.options.persons, min_seen=self.options.min_seen)
        joints = to_metres(self._in_heights(file, frames, joints), self.options, file)
        for key, own in self._keys(file):
            yield RawClip(name_of(key), joints, **self._columns(file, self._told(file, key, own)), dropped=dropped)

    def _in_heights(self, file: Path, frames: list[Any], joints: np.ndarray) -> np.ndarray:
        """World landmarks as they are; image landmarks, which bare lists may be, as 2D in heights of the image."""
        hips = np.abs(joints[:, :, _HIPS, :2].mean(2))
        hips = hips[np.isfinite(hips)]
        if isinstance(frames[0], Mapping) or not hips.size or np.median(hips) < _OFF_CENTRE:
            return joints
        if not self.options.aspect:
            raise UserError(f"{file}: holds image landmarks; give aspect=1.778 (width / height of the images)")
        return joints[..., :2] * np.array([self.options.aspect, 1], np.float32)


def _persons(file: Path, t: int, frame: Any, min_score: float) -> np.ndarray:
    """Persons of one frame (P, 33, 3), NaN where doubtful."""
    where = f"{file}: frame {t}"
    if isinstance(frame, list) or frame is None:
        frame = {_KEYS[0]: frame}
    if not isinstance(frame, Mapping):
        raise UserError(f"{where}: is no mapping with {_KEYS[0]}; write it as MediaPipe's results are")
    key = next((key for key in _KEYS if key in frame), None)
    if key is None:
        raise UserError(f"{where}: has none of {', '.join(_KEYS)}; image landmarks have no depth in metres")
    found = frame[key] or []
    one = bool(found) and (not isinstance(found, list) or _is_landmark(found[0]))
    persons = [found] if one else found
    if not all(isinstance(person, list) and len(person) == _JOINTS for person in persons):
        raise UserError(f"{where}: {key}: is no list of {_JOINTS} landmarks, or of persons with as many each")
    try:
        numbers = [[_numbers(landmark) for landmark in person] for person in persons]
        values = np.array(numbers, np.float64).reshape(len(persons), _JOINTS, 4)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise UserError(f"{where}: {key}: holds a landmark without numbers x, y and z") from error
    joints = values[..., :3].copy()
    joints[values[..., 3] < min_score] = np.nan
    return joints


def _is_landmark(thing: Any) -> bool:
    return isinstance(thing, Mapping) or (isinstance(thing, list) and bool(thing) and isinstance(thing[0], int | float))


def _numbers(landmark: Any) -> list[float]:
    """x, y, z and visibility (1 if it is not told)."""
    if isinstance(landmark, Mapping):
        values = [landmark["x"], landmark["y"], landmark["z"], landmark.get("visibility")]
    elif isinstance(landmark, list) and len(landmark) in (3, 4):
        values = [*landmark, None][:4]
    else:
        raise ValueError("no landmark")
    numbers = [1.0 if value is None and place == 3 else value for place, value in enumerate(values)]
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise ValueError("no number")
    return [float(number) for number in numbers]
