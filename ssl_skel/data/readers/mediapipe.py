"""MediaPipe Pose, saved as JSON: one file per recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from ssl_skel.config import Section
from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.described import DescribedReader, name_of
from ssl_skel.data.readers.description import Description, to_metres
from ssl_skel.data.readers.estimators import EstimatorOptions, follow
from ssl_skel.data.readers.mediapipe_forms import Landmarks, read_landmarks
from ssl_skel.layouts import LAYOUTS, LayoutLike, SkeletonLayout

_HIPS = [LAYOUTS["mediapipe33"].joints.index(joint) for joint in ("left_hip", "right_hip")]
_USUAL_ASPECT = 16 / 9
_OFF_CENTRE = 0.05  # world landmarks count from the middle of the hips


class MediaPipeDescription(Description, EstimatorOptions):
    """``recordings.yaml`` in a folder of MediaPipe's results."""

    up: Literal["y", "z", "-y"] = "-y"
    """Which axis points up; MediaPipe's y grows downwards."""

    aspect: float = Field(default=0.0, ge=0.0)
    """Width of the images divided by their height, 1.778 for 1920 x 1080: for image landmarks, whose x and y both run
    from 0 to 1. 0: unknown; 1.778 is assumed, and ``convert`` says so."""


class MediaPipeReader(DescribedReader):
    """JSON files ``<class>/<name>.json``, described by ``recordings.yaml`` (see ``DescribedReader``).

    A file holds a list of frames, such a list as ``frames``, a mapping of frames by number, or a frame on each line
    (``.jsonl``)::

        {"frames": [{"pose_world_landmarks": [{"x": 0.01, "y": -0.6, "z": -0.2, "visibility": 0.99}, …]}, …]}
        [[[0.01, -0.6, -0.2, 0.99], …], …]
        {"NOSE": {"x": 0.01, "y": -0.6, "z": -0.2}, "LEFT_EYE": …}

    A frame holds, under any of the names MediaPipe's interfaces use (``pose_world_landmarks``, ``poseLandmarks``, …) or
    on its own, 33 landmarks, a mapping of them by name or number, a list of persons with as many each, or nothing where
    nobody was found; and perhaps ``time``, in seconds, which gives the frame rate. A landmark is a mapping with x, y, z
    and perhaps visibility, or a list of these numbers.

    World landmarks are metres about the middle of the hips, in each frame, so a path through the room is not in them; y
    grows downwards. They are turned by half a turn about z (never mirrored). Image landmarks run from 0 to 1; they are
    read as 2D, in heights of the image (``aspect``). Landmarks without a name are taken for image landmarks if the hips
    are not in the middle.
    """

    layout = LAYOUTS["mediapipe33"]
    Options = MediaPipeDescription
    options: MediaPipeDescription
    pattern = "**/*.*json*"
    example = "wave/clip01.json or .jsonl"
    suffixes = (".json", ".jsonl", ".ndjson")
    endings = (".json", ".jsonl")

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        self._refuse_layout(layout)
        super().__init__(source, None, options)

    def _own_layout(self, files: list[Path]) -> SkeletonLayout:
        self._refuse_layout(self.options.layout or None)
        return self.layout

    def files(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        return [file for file in self._find(self.pattern, self.example) if file.name.lower().endswith(self.suffixes)]

    def read(self, file: Path) -> Iterator[RawClip]:
        landmarks = read_landmarks(file)
        persons, assumed = self._in_heights(landmarks)
        joints, dropped = follow(persons, self.options.persons, min_seen=self.options.min_seen)
        joints, dropped = to_metres(joints, self.options, file), dropped | assumed
        for key, own in self._keys(file):
            columns = self._columns(file, self._texts(file, key, own))
            yield RawClip(name_of(key), joints, **columns, dropped=dropped | assumed, fps=landmarks.fps)

    def _in_heights(self, landmarks: Landmarks) -> tuple[list[np.ndarray], dict[str, int]]:
        """Persons (P, 33, C) of each frame, NaN where doubtful: world landmarks with C = 3 as they are; image landmarks
        with C = 2 in heights of the image. If the file does not say which, world landmarks count from the hips.
        """
        places = [
            np.where(frame[..., 3:] < self.options.min_score, np.nan, frame[..., :3]) for frame in landmarks.persons
        ]
        image = landmarks.kind == "image"
        if not landmarks.kind:
            everyone = np.concatenate(places)
            hips = np.abs(everyone[:, _HIPS, :2].mean(1))
            hips = hips[np.isfinite(hips)]
            image = np.isnan(everyone[..., 2]).all() or (hips.size > 0 and float(np.median(hips)) >= _OFF_CENTRE)
        if not image:
            return places, {}
        assumed = {} if self.options.aspect else {"assumed_aspect": 1}
        return [frame[..., :2] * np.array([self.options.aspect or _USUAL_ASPECT, 1]) for frame in places], assumed
