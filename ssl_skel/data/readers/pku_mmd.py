"""PKU-MMD (Liu et al., 2017): long videos, cut by their labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.config import Section
from ssl_skel.data.clip import BadClip, RawClip, attempt
from ssl_skel.data.readers.base import Reader
from ssl_skel.data.readers.estimators import TrackedOptions
from ssl_skel.data.readers.text_table import Rows, read_rows, unseen
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, LayoutLike

_NAME = re.compile(r"(?:A(\d+)N)?(\d+)-([LMR])")
_EXAMPLE = "skeleton/0002-L.txt and label/0002-L.txt"
_CAMERAS = {"L": 1, "M": 2, "R": 3}
_CLASSES = 51
_LISTS = re.compile(r"Training videos?\s*:(?P<train>.*?)Validation videos?\s*:(?P<test>.*)", re.DOTALL | re.IGNORECASE)


class PkuMmdReader(Reader):
    """Text files ``skeleton/0002-L.txt`` (or ``A01N02-L.txt``) and ``label/`` files of the same name; 51 classes.

    A row is a frame: 2 persons x 25 joints x 3, zeros for absent persons. A label's row is ``class, first frame, end,
    confidence``. Clips are named ``0002-L_00415`` after video and first frame; the column ``setup`` is the video, and
    camera is 1, 2, 3 for left, middle, right.

    Splits: ``xview`` (left against middle and right), and ``xsub`` if the published lists are in
    ``split/cross-subject*.txt``.
    """

    layout = LAYOUTS["ntu25"]
    fps = 30.0
    class_names = tuple(str(number) for number in range(1, _CLASSES + 1))
    Options = TrackedOptions

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        super().__init__(source, layout, options)
        self.splits: dict[str, dict[str, Any]] = {"xview": {"train": {"camera": [2, 3]}, "test": {"camera": [1]}}}
        for file in sorted(self.source.glob("split/cross-subject*.txt")):
            self.splits["xsub"] = _read_lists(file)

    def files(self) -> list[Path]:
        return self._find("skeleton/*.txt", _EXAMPLE)

    def read(self, file: Path) -> Iterator[RawClip | BadClip]:
        match = _NAME.fullmatch(file.stem)
        if not match:
            raise UserError(f"{file}: the name has no video and camera; expected one like {_EXAMPLE}")
        rows = read_rows(file, 150, "2 x 25 x 3")
        labels = file.parent.parent / "label" / file.name
        if not labels.is_file():
            raise UserError(f"{file}: label/{file.name} is missing; put it beside the folder skeleton")
        labelled = read_rows(labels, 4, "class, first frame, end and confidence")
        for row in range(len(labelled.numbers)):
            first = labelled.numbers[row, 1]
            name = f"{file.stem}_{int(first):05}" if np.isfinite(first) else f"{file.stem}, row {row} of label"
            yield attempt(name, partial(_clip, file, match, name, rows, labelled, row))


def _clip(file: Path, match: re.Match[str], name: str, rows: Rows, labelled: Rows, row: int) -> RawClip:
    """The clip that a row of labels describes."""
    labelled.refuse_damage(np.array([row]))
    count = len(rows.numbers)
    label, first, end = labelled.numbers[row, :3].tolist()
    if not (1 <= label <= _CLASSES and 0 <= first < min(end, count) and label % 1 == first % 1 == 0):
        action = f"class {label:g}, frames {first:g} to {end:g}"
        raise UserError(f"{file}: label/{file.name}: {action}: does not fit {count} frames")
    frames = np.arange(int(first), int(min(end, count)))
    rows.refuse_damage(frames)
    joints = unseen(rows.numbers[frames].reshape(-1, 2, 25, 3).swapaxes(0, 1))
    video, camera = _video(match), _CAMERAS[match[3]]
    return RawClip(name, joints, int(label) - 1, camera=camera, setup=video, recording=10 * video + camera)


def _video(match: re.Match[str]) -> int:
    """Number of a video: its own, or 100 * A + N."""
    return 100 * int(match[1] or 0) + int(match[2])


def _read_lists(file: Path) -> dict[str, Any]:
    """The published split by subjects, as lists of videos."""
    match = _LISTS.search(file.read_text("utf-8", "replace"))
    if not match:
        raise UserError(f"{file}: has no lists 'Training videos:' and 'Validation videos:'; download it again")
    return {
        side: {"setup": sorted({_video(name) for name in _NAME.finditer(match[side])})} for side in ("train", "test")
    }
