"""What a reader is: one raw format in, clips in metres with y up out."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ssl_skel.config import Section
from ssl_skel.errors import UserError
from ssl_skel.layout import SkeletonLayout


@dataclass(frozen=True)
class RawClip:
    """One recording as it was published, before normalisation.

    Attributes:
        name: unique in its data set; what splits and reports call the clip.
        joints: (M, T, V, C) metres, y up; NaN where a joint was not tracked. As Kinect has it, someone who
            faces the camera has the left side at smaller x.
        label, subject, camera, setup, replication: -1 where unknown; labels count from 0.
    """

    name: str
    joints: np.ndarray
    label: int = -1
    subject: int = -1
    camera: int = -1
    setup: int = -1
    replication: int = -1


class Reader(ABC):
    """Reads one raw format from a folder (or a file).

    Attributes:
        layout: joints of all clips.
        class_names: one a label.
        splits: ways to part the clips into train and test; the form is told in ``ssl_skel.data.splits``.
        Options: what else can be chosen; the fields stand above the reader.
        archive: one file holds a whole data set, so that files are no fair shares of the work.

    Args:
        source: where the recordings lie.
        layout: name or path of a layout, for formats that leave it open.
        options: of the type ``Options``; default: its defaults.

    Raises:
        UserError: the format has a layout of its own and another is asked for.
    """

    layout: SkeletonLayout
    class_names: tuple[str, ...]
    splits: dict[str, dict[str, Any]]
    Options: ClassVar[type[Section]] = Section
    archive: ClassVar[bool] = False

    def __init__(self, source: Path, layout: str | None = None, options: Section | None = None) -> None:
        self.source = Path(source)
        self.options: Any = options or self.Options()
        if layout is not None:
            raise UserError(f"layout {layout!r}: this format has its own ({self.layout.name}); leave the option out")

    @abstractmethod
    def files(self) -> list[Path]:
        """Files to read, sorted.

        Raises:
            UserError: there are none; says what was looked for.
        """

    @abstractmethod
    def read(self, file: Path) -> Iterator[RawClip]:
        """Clips of one file.

        Raises:
            UserError: the file is damaged; names it and what is wrong.
        """

    def told_options(self) -> dict[str, Any]:
        """Options as a store records them: ready for JSON, and no place on this machine."""
        return self.options.model_dump(mode="json")

    def _find(self, pattern: str, example: str) -> list[Path]:
        """Files below the source that match a glob pattern; hidden ones are no recordings."""
        if not self.source.is_dir():
            raise UserError(f"{self.source}: is no folder; give the folder that holds the recordings ({example})")
        found = sorted(self.source.glob(pattern))
        files = [
            file
            for file in found
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(self.source).parts)
        ]
        if not files:
            raise UserError(f"{self.source}: holds no {pattern}; give the folder that holds the recordings ({example})")
        return files


def match_name(name: str, pattern: re.Pattern[str], file: Path, example: str) -> list[int]:
    """Numbers that stand in a file's name.

    Raises:
        UserError: the name does not match.
    """
    match = pattern.fullmatch(name)
    if not match:
        raise UserError(f"{file}: the name tells no action and subject; expected one like {example}")
    return [int(number) for number in match.groups()]


def odd_even(subjects: Iterable[int]) -> dict[str, dict[str, list[int]]]:
    """Cross-subject split: odd subjects train, even ones test."""
    known = sorted({int(subject) for subject in subjects if subject >= 0})
    return {
        "train": {"subject": [subject for subject in known if subject % 2]},
        "test": {"subject": [subject for subject in known if not subject % 2]},
    }


def check_clip(clip: RawClip, layout: SkeletonLayout, file: Path) -> None:
    """Refuse what no normalisation can mend.

    Raises:
        UserError: wrong shape, no frames, or nothing tracked at all (only NaN, infinity or zero).
    """
    shape = clip.joints.shape
    if clip.joints.ndim != 4 or shape[2] != layout.num_joints or layout.coordinates(shape[3]) not in (2, 3):
        score = " and a score" if layout.score else ""
        raise UserError(
            f"{file}: clip {clip.name!r} has shape {shape}; "
            f"expected (persons, frames, {layout.num_joints} joints of {layout.name}, 2 or 3 coordinates{score})"
        )
    if 0 in shape:
        raise UserError(f"{file}: clip {clip.name!r} has no frames")
    if not tracked_persons(clip.joints).any():
        raise UserError(f"{file}: clip {clip.name!r} has no tracked joint")


def tracked_joints(joints: np.ndarray) -> np.ndarray:
    """(M, T, V) bool: joints all of whose coordinates are finite."""
    tracked: np.ndarray = np.isfinite(joints).all(-1)
    return tracked


def tracked_persons(joints: np.ndarray) -> np.ndarray:
    """(M,) bool: persons with a tracked joint away from the origin; padding with zeros is nobody."""
    persons: np.ndarray = (tracked_joints(joints) & (joints != 0).any(-1)).any((1, 2))
    return persons
