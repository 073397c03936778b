"""OpenPose: one folder per recording, one JSON file per frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from ssl_skel.config import Section
from ssl_skel.data.clip import BadClip, RawClip, attempt
from ssl_skel.data.dropped import gaps
from ssl_skel.data.readers.base import natural
from ssl_skel.data.readers.described import DescribedReader, name_of
from ssl_skel.data.readers.description import Description, to_metres
from ssl_skel.data.readers.estimators import PlaneOptions, follow, read_json
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, LayoutLike, SkeletonLayout

_SHARES = 2.0  # pixels; nobody is so small, and shares of the image hardly leave it
_FRAME = "*_keypoints.json"
_NUMBER = re.compile(r"(\d*)_keypoints\.json")
_BY_COUNT = {18: "openpose18", 25: "openpose25"}


class OpenPoseDescription(Description, PlaneOptions):
    """``recordings.yaml`` in a folder of OpenPose's files."""

    up: Literal["y", "z", "-y"] = "-y"
    """Which axis points up; in images y grows downwards."""

    height: float = Field(default=1080.0, gt=0.0)
    """Pixels of an image's height, which become 1. The files do not say it."""

    aspect: float = Field(default=0.0, ge=0.0)
    """Width of the images divided by their height, 1.778 for 1920 x 1080: needed where x and y both run from 0 to 1
    (OpenPose's keypoint_scale 3) and no height is given. 0: unknown."""


class OpenPoseReader(DescribedReader):
    """Folders ``<class>/<name>/*_keypoints.json``, described by ``recordings.yaml`` (see ``DescribedReader``).

    Frames are in the order of the numbers in the files' names; gaps are closed, and counted. 2D, 18 or 25 joints. If a
    folder holds several recordings, they differ in the part before the numbers, and are named after the folder and that
    part.

    ``people[].pose_keypoints_2d`` holds x, y and confidence of each joint in pixels; zeros are joints that were not
    found. OpenPose does not follow persons through time, so they are identified by place (``follow``).

    Images are turned by half a turn (never mirrored), so that up is up and someone who faces the camera has the left
    side at smaller x, as in all other data here.
    """

    Options = OpenPoseDescription
    options: OpenPoseDescription
    pattern = f"**/{_FRAME}"
    example = "wave/clip01/clip01_000000000000_keypoints.json"

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        super().__init__(source, layout, options)
        if self.options.score == "keep":
            self.layout = self.layout.with_score()

    def files(self) -> list[Path]:
        """Folders of recordings; one that itself holds frames is the only one."""
        return sorted({file.parent for file in self._find(self.pattern, self.example)}, key=natural)

    def read(self, file: Path) -> Iterator[RawClip | BadClip]:
        for (key, own), frames in zip(self._keys(file), _recordings(file).values(), strict=True):
            yield attempt(name_of(key), partial(self._clip, file, key, own, frames))

    def _keys(self, file: Path) -> Iterator[tuple[str, dict[str, str]]]:
        ((folder, own),) = super()._keys(file)
        for recording in _recordings(file):
            yield f"{folder}/{recording}" if self._several else folder, own

    @cached_property
    def _several(self) -> bool:
        """Whether some folder holds several recordings."""
        return any(len(_recordings(folder)) > 1 for folder in self.files())

    def _clip(self, file: Path, key: str, own: dict[str, str], files: list[Path]) -> RawClip:
        frames = [_persons(frame, self.layout.num_joints, self.options.min_score) for frame in files]
        options = self.options
        joints, dropped = follow(frames, options.persons, coordinates=2, min_seen=options.min_seen)
        joints[..., :2] = to_metres(self._in_heights(file, joints[..., :2]), self.options, file)
        joints = joints if self.layout.score else joints[..., :2]
        numbers = np.array([float(found[1]) for frame in files if (found := _NUMBER.search(frame.name)) and found[1]])
        columns = self._columns(file, self._texts(file, key, own))
        return RawClip(name_of(key), joints, **columns, dropped=dropped | gaps(numbers))

    def _in_heights(self, file: Path, places: np.ndarray) -> np.ndarray:
        """Pixels, or shares of width and height, in heights of the image."""
        given = "height" in self.options.model_fields_set
        if given or not np.isfinite(places).any() or np.nanmax(np.abs(places)) > _SHARES:
            return places / np.float32(self.options.height)
        if not self.options.aspect:
            raise UserError(f"{file}: x and y are not pixels but shares; give aspect=1.778 (width / height)")
        span = 2 if np.nanmin(places) < -0.1 else 1  # OpenPose's keypoint_scale 4 runs from -1 to 1
        return places * np.array([self.options.aspect, 1], np.float32) / np.float32(span)

    def _own_layout(self, files: list[Path]) -> SkeletonLayout:
        """The layout that the description names, or that of the first person found."""
        if self.options.layout:
            return super()._own_layout(files)
        for folder in files:
            for frame in sorted(folder.glob(_FRAME), key=natural):
                try:
                    people = _people(frame)
                except UserError:  # reported when it is read
                    continue
                for person in people:
                    count, rest = divmod(len(person), 3)
                    if rest or count not in _BY_COUNT:
                        raise UserError(f"{frame}: pose_keypoints_2d: has {len(person)} numbers; give --layout")
                    return LAYOUTS[_BY_COUNT[count]]
        return LAYOUTS["openpose25"]


def _recordings(folder: Path) -> dict[str, list[Path]]:
    """Frames of each recording in a folder, in order, by the part before their numbers."""
    recordings: dict[str, list[Path]] = {}
    for frame in sorted(folder.glob(_FRAME), key=natural):
        recordings.setdefault(_NUMBER.sub("", frame.name).rstrip("_-. "), []).append(frame)
    return recordings


def _people(frame: Path) -> list[list[Any]]:
    data = read_json(frame)
    people = data.get("people") if isinstance(data, Mapping) else None
    if not isinstance(people, list):
        raise UserError(f"{frame}: people: missing; expected a file as OpenPose writes it")
    found = [person.get("pose_keypoints_2d") if isinstance(person, Mapping) else None for person in people]
    if not all(isinstance(person, list) for person in found):
        raise UserError(f"{frame}: people: one has no list pose_keypoints_2d")
    return [person for person in found if person]


def _persons(frame: Path, joints: int, min_score: float) -> np.ndarray:
    """Persons of one frame (P, V, 3), x, y and score, NaN where not found."""
    people = _people(frame)
    try:
        values = np.array(people, np.float64).reshape(len(people), joints, 3)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{frame}: pose_keypoints_2d: is not a list of {3 * joints} numbers; give --layout") from error
    values[(values[..., 2] < min_score) | (values == 0).all(-1)] = np.nan
    return values
