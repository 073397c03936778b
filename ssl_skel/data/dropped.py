"""What conversion leaves out of recordings, or fills in where nobody was seen: counted by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ssl_skel.data.clip import RawClip, tracked_joints

_GAP = 1.5  # median steps


@dataclass(frozen=True)
class Kind:
    """One kind of what is counted.

    Attributes:
        text: what was done, after the number; {s} and {were} follow it.
        option: option of a reader that changes it; empty: none does.
        remedy: how.
    """

    text: str
    option: str = ""
    remedy: str = ""


KINDS: dict[str, Kind] = {
    "zero_frames": Kind("frame{s} in which all joints are zero {were} taken as unseen, and cut at the end of a clip"),
    "empty_frames": Kind("frame{s} without anybody {were} left out"),
    "gaps": Kind(
        "clip{s} without some frames in between, by the numbers or times of the others; "
        "the frames on both sides were joined"
    ),
    "ghosts": Kind("person{s} seen in too few frames {were} left out", "min_seen", "min_seen=0 keeps them"),
    "surplus": Kind("person{s} beyond those seen in most frames {were} left out", "persons", "persons=N keeps more"),
    "third": Kind("track{s} {were} left out as two others were there", "denoise", "denoise=false keeps them"),
    "noise": Kind("track{s} {were} left out as noise", "denoise", "denoise=false keeps them"),
    "assumed_aspect": Kind("clip{s} of image landmarks; the images were taken for 16:9", "aspect", "aspect=W/H if not"),
    "shares": Kind(
        "clip{s} with all x and y between 0 and 1, which squeezes people if these are shares of width and height",
        "aspect",
        "aspect=1.778 (width / height) fixes it; give aspect=1 if they are not",
    ),
    "absent": Kind("frame{s} of a person who was absent {were} filled from before and after"),
}


def report(dropped: Mapping[str, int], options: Mapping[str, Any]) -> list[str]:
    """One line per kind.

    Args:
        dropped: kind -> how many.
        options: those that the reader had.
    """
    lines = []
    for kind, count in dropped.items():
        known = KINDS.get(kind, Kind(kind.replace("_", " ")))  # a later release may count more
        text = known.text.replace("{s}", "s" * (count != 1)).replace("{were}", "was" if count == 1 else "were")
        lines.append(f"{count:,} {text}" + (f"; {known.remedy}" if known.option in options else ""))
    return lines


def without_zeros(joints: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """Count people whose joints are all zero as unseen, and cut frames at the end that are zero for everyone.

    Args:
        joints: (M, T, V, C).

    Returns:
        (M, T', V, C), NaN where a person was all zeros; how many frames were zero for everyone.
    """
    zero = (joints == 0).all((2, 3))
    if not zero.any():
        return joints, {}
    joints = np.where(zero[..., None, None], np.float32(np.nan), joints)
    nobody = zero.all(0)
    shown = np.flatnonzero(~nobody)
    length = int(shown[-1]) + 1 if shown.size else joints.shape[1]
    return joints[:, :length], {"zero_frames": int(nobody.sum())} if nobody.any() else {}


def without_ghosts(joints: np.ndarray, min_seen: float) -> tuple[np.ndarray, dict[str, int]]:
    """Leave out persons seen in so few frames that they are probably false detections.

    Args:
        joints: (M, T, V, C), NaN where not tracked.
        min_seen: least share of the frames in which the person seen most was.
    """
    seen = tracked_joints(joints).any(2).sum(1)
    ghosts = (seen > 0) & (seen < min_seen * seen.max(initial=0))
    return (joints[~ghosts], {"ghosts": int(ghosts.sum())}) if ghosts.any() else (joints, {})


def tidied(clip: RawClip, min_seen: float) -> RawClip:
    """A clip without frames of zeros and ghosts; counted.

    Args:
        clip: as a reader gives it, (M, T, V, C).
        min_seen: as in ``without_ghosts``.
    """
    joints, zeros = without_zeros(clip.joints)
    joints, ghosts = without_ghosts(joints, min_seen)
    return replace(clip, joints=joints, dropped={**clip.dropped, **zeros, **ghosts}) if zeros or ghosts else clip


def gaps(numbers: np.ndarray) -> dict[str, int]:
    """Whether frames of a clip are missing in between: a step of more than one and a half times the median step.

    Every second number is no gap, nor are times that are not quite even.

    Args:
        numbers: (T,) of the frames, or their times, in any order and more than once.
    """
    steps = np.diff(np.unique(numbers))
    return {"gaps": 1} if steps.size and steps.max() > _GAP * np.median(steps) else {}


def absent_frames(joints: np.ndarray) -> dict[str, int]:
    """Number of frames of joints (M, T, V, C) in which a person who appears in others was not seen, summed over
    persons.
    """
    seen = np.asarray(tracked_joints(joints).any(2))
    absent = int((~seen[seen.any(1)]).sum())
    return {"absent": absent} if absent else {}
