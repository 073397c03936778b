"""A clip as it was read, before normalisation, and what every clip must be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout

_FARTHEST = 1e6
"""Largest coordinate: metres, or pixels. Anything beyond is damage, and overflows when it is squared."""
_LONGEST = 500
"""Characters of a name."""


@dataclass(frozen=True)
class RawClip:
    """One recording as it was published, before normalisation.

    Attributes:
        name: unique in its data set; what splits and reports call the clip.
        joints: (M, T, V, C) metres, y up; NaN where a joint was not tracked. As Kinect has it, someone who
            faces the camera has the left side at smaller x.
        label, subject, camera, setup, replication: -1 where unknown; labels count from 0.
        recording: clips with the same number were cut from one recording; -1 where unknown.
        dropped: how much of it was left out, by kind; see ``ssl_skel.data.dropped``.
        fps: frames a second; 0 where unknown.
    """

    name: str
    joints: np.ndarray
    label: int = -1
    subject: int = -1
    camera: int = -1
    setup: int = -1
    replication: int = -1
    recording: int = -1
    dropped: Mapping[str, int] = field(default_factory=dict)
    fps: float = 0.0


@dataclass(frozen=True)
class BadClip:
    """A clip that cannot be read, of a file whose other clips can.

    Attributes:
        name: of the clip, or its place in the file.
        error: what is wrong; begins with the file.
    """

    name: str
    error: UserError


def attempt(name: str, read: Callable[[], RawClip]) -> RawClip | BadClip:
    """What reads one clip of several, so that the reader continues with the next if it fails."""
    try:
        return read()
    except UserError as error:
        return BadClip(name, error)


def check_clip(clip: RawClip, layout: SkeletonLayout, file: Path) -> None:
    """Refuse what no normalisation can repair.

    Raises:
        UserError: wrong shape, no frames, nothing tracked at all (only NaN, infinity or zero), coordinates beyond
            ``_FARTHEST`` (infinite ones too: float32 makes them of what it cannot hold), or a name that is too long or
            cannot be written.
    """
    check_text(clip.name, f"{file}: name of a clip")
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
    farthest = np.nanmax(np.abs(clip.joints))
    if farthest > _FARTHEST:
        size = f"{farthest:.3g}" if np.isfinite(farthest) else f"more than {np.finfo(np.float32).max:.3g}, or infinity"
        raise UserError(
            f"{file}: clip {clip.name!r} has a coordinate of {size}; none may be beyond {_FARTHEST:g}, so look "
            "at the recording and its units"
        )


def check_text(text: str, where: str) -> None:
    """Refuse a name of a clip or a class that no file can hold.

    Args:
        text: the name.
        where: file and field.

    Raises:
        UserError: it has more than ``_LONGEST`` characters, or half a surrogate.
    """
    if len(text) > _LONGEST:
        raise UserError(f"{where}: {text[:40]!r} ... has {len(text)} characters; give it at most {_LONGEST}")
    try:
        text.encode().decode()
    except UnicodeError as error:
        raise UserError(f"{where}: {text!a} is not Unicode text; rename it") from error


def tracked_joints(joints: np.ndarray) -> np.ndarray:
    """(M, T, V) bool: joints all of whose coordinates are finite."""
    tracked: np.ndarray = np.isfinite(joints).all(-1)
    return tracked


def tracked_persons(joints: np.ndarray) -> np.ndarray:
    """(M,) bool: persons with a tracked joint away from the origin; padding with zeros is nobody."""
    persons: np.ndarray = (tracked_joints(joints) & (joints != 0).any(-1)).any((1, 2))
    return persons


def content_hash(joints: np.ndarray) -> int:
    """A number that equal recordings share: blake2b of shape and float32 coordinates.

    Absent persons do not count; all sorts of "not tracked" are one.

    Args:
        joints: (M, T, V, C) as read, before normalisation.
    """
    present = joints[tracked_persons(joints)].astype(np.float32)
    present = np.where(tracked_joints(present)[..., None], present + 0.0, np.float32(np.nan)).astype("<f4")
    digest = hashlib.blake2b(repr(present.shape).encode(), digest_size=8)
    digest.update(present.tobytes())
    return int.from_bytes(digest.digest(), "little")
