"""Kinetics-skeleton (Yan, Xiong & Lin, AAAI 2018): OpenPose on 240,000 clips of the web, 2D."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.config import Section
from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.base import Reader
from ssl_skel.data.readers.estimators import PlaneOptions, follow, read_json
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, LayoutLike

_CLASSES, _JOINTS = 400, 18
_SIDES = {"kinetics_train": 1, "kinetics_val": 2}
_ASPECT = 340 / 256  # to which all videos were resized before OpenPose saw them


class KineticsReader(Reader):
    """JSON files ``kinetics_train/*.json`` and ``kinetics_val/*.json``; 400 classes, OpenPose's 18 joints.

    ``data`` is a list of frames with ``skeleton``, persons of ``pose`` (x and y in 0..1) and ``score``. Zeros are
    joints that were not found. Persons are identified by place (``follow``); the published code takes the two with the
    best scores in each frame, whoever they are.

    Images are turned by half a turn (never mirrored), and their height becomes 1. Classes are numbers, or names if
    ``kinetics_train_label.json`` exists. Frames without anybody stay. The column ``setup`` is 1 in train, 2 in val.

    Split: ``given``.
    """

    layout = LAYOUTS["openpose18"]
    fps = 30.0
    Options = PlaneOptions
    splits = {"given": {"train": {"setup": [1]}, "test": {"setup": [2]}}}  # noqa: RUF012 - never changed
    endings = (".json",)

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        super().__init__(source, layout, options)
        if self.options.score == "keep":
            self.layout = self.layout.with_score()
        self.class_names = _class_names(self.source / "kinetics_train_label.json")

    def files(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        return self._find("kinetics_*/*.json", "kinetics_train/---QUuC4vJs.json")

    def read(self, file: Path) -> Iterator[RawClip]:
        data = read_json(file)
        frames = data.get("data") if isinstance(data, Mapping) else None
        if not isinstance(frames, list) or not frames or not isinstance(data, Mapping):
            raise UserError(f"{file}: data: missing or empty; expected a list of frames")
        label = data.get("label_index", -1)
        if type(label) is not int or not -1 <= label < _CLASSES:
            raise UserError(f"{file}: label_index: is {str(label)[:40]!r}; expected 0 to {_CLASSES - 1}")
        found = [_persons(file, t, frame, self.options.min_score) for t, frame in enumerate(frames)]
        options = self.options
        joints, dropped = follow(found, options.persons, coordinates=2, min_seen=options.min_seen)
        joints[..., :2] = np.array([_ASPECT, 1], np.float32) * (np.float32(0.5) - joints[..., :2])
        joints = joints if self.layout.score else joints[..., :2]
        yield RawClip(file.stem, joints, label, setup=_SIDES.get(file.parent.name, -1), dropped=dropped)


def _persons(file: Path, t: int, frame: Any, min_score: float) -> np.ndarray:
    """Persons of one frame (P, 18, 3), x, y and score, NaN where not found."""
    try:
        people = frame["skeleton"]
        places = np.array([person["pose"] for person in people], np.float64).reshape(len(people), _JOINTS, 2)
        scores = np.array([person["score"] for person in people], np.float64).reshape(len(people), _JOINTS)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise UserError(
            f"{file}: frame {t}: is not a mapping with skeleton, persons of 36 numbers pose and 18 score"
        ) from error
    joints = np.concatenate([places, scores[..., None]], -1)
    joints[(scores < min_score) | (places == 0).all(-1)] = np.nan
    return joints


def _class_names(file: Path) -> tuple[str, ...]:
    """Names of the classes, from the labels of the training clips."""
    names = [str(number) for number in range(_CLASSES)]
    entries = read_json(file) if file.is_file() else {}
    for clip in entries.values() if isinstance(entries, dict) else ():
        label = clip.get("label_index") if isinstance(clip, dict) else None
        if type(label) is int and 0 <= label < _CLASSES and isinstance(clip.get("label"), str):
            names[label] = clip["label"]
    return tuple(names)
