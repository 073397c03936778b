"""Whether the clips of a store look like people: heads up, of human height, in the unit that the store claims."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssl_skel.data.readers.description import METRES
from ssl_skel.data.store import Store
from ssl_skel.layouts import SkeletonLayout

SHORTEST, TALLEST = 0.8, 2.5
"""Metres along the bones from head to ankle. Adults have 1.2 to 2.1 in the sets at hand, children of four about 0.9."""
_SMALLEST_2D, _LARGEST_2D = 0.02, 2.0  # image heights from head to ankle
_UPRIGHT = 0.5  # cosine; a person who leans by more than 60 degrees does not stand
_MOST_CLIPS = 500  # that are looked at, evenly spread
_MOST_FRAMES = 32  # of a clip
_HEAD, _FEET = ("head", "nose|face", "neck"), ("ankle", "foot|feet", "toe", "knee")
# Axis of the coordinates as read, by what `up` said and the axis that points up in the store.
_AXES = {
    "y": {"x": "x", "y": "y", "-y": "-y", "z": "z"},
    "z": {"x": "x", "y": "z", "-y": "-z", "z": "y", "-z": "-y"},
    "-y": {"x": "x", "y": "-y", "-y": "y", "z": "z"},
}


@dataclass(frozen=True)
class Notice:
    """One way in which the clips of a store do not look like people.

    Attributes:
        kind: ``up`` (heads are not above feet) or ``units`` (no person has that height).
        clips: in how many clips it is so.
        looked_at: of how many.
        message: one line, with the option that fixes it.
    """

    kind: str
    clips: int
    looked_at: int
    message: str


@dataclass(frozen=True)
class Body:
    """Joints that show how a body stands.

    Attributes:
        head, feet: numbers of joints.
        chain: (V,) 0/1, the bones (by child) between a head and a foot.
    """

    head: tuple[int, ...]
    feet: tuple[int, ...]
    chain: np.ndarray


def body_of(layout: SkeletonLayout) -> Body | None:
    """Head and feet of a layout, by the names of its joints; None where it has none, as a hand."""
    head, feet = _named(layout, _HEAD), _named(layout, _FEET)
    if not head or not feet:
        return None
    chain = _above(layout, head[0]) ^ _above(layout, feet[0])
    return Body(head, feet, chain)


def stance(joints: np.ndarray, layout: SkeletonLayout, body: Body) -> tuple[np.ndarray, float]:
    """How the first person of a clip stands.

    Args:
        joints: (M, T, V, C) coordinates, nothing missing.
        layout: its joints.
        body: of the layout.

    Returns:
        (C,) direction from feet to head, median over frames, of length 1 or 0; and the length along the bones between
        them, median over frames, in the unit of the joints.
    """
    some = joints[0, :: max(1, joints.shape[1] // _MOST_FRAMES)].astype(np.float64)
    upward = np.median(some[:, body.head].mean(1) - some[:, body.feet].mean(1), axis=0)
    bones = np.linalg.norm(some - some[:, list(layout.parents)], axis=-1)
    length = float(np.linalg.norm(upward))
    return upward / length if length > 0 else upward, float(np.median(bones @ body.chain))


def implausible(store: Store) -> tuple[Notice, ...]:
    """What is unlike people in most clips of a store; nothing if its layout names no head and feet.

    At most 500 clips are looked at, evenly spread, and of each the first person. Lengths count only where the store
    has metres, or image heights in 2D.
    """
    body = body_of(store.layout)
    if body is None:
        return ()
    coordinates = store.layout.coordinates(store.channels)
    rows = range(0, len(store), max(1, len(store) // _MOST_CLIPS))
    stances = [stance(store.clip(row)[..., :coordinates], store.layout, body) for row in rows]
    upward, stature = np.array([up for up, _ in stances]), np.array([length for _, length in stances])
    scaled = store.normalization is not None and store.normalization.scale
    options = store.provenance.options
    found = [_up(upward, options), None if scaled else _units(stature, coordinates, options)]
    return tuple(notice for notice in found if notice)


def _named(layout: SkeletonLayout, patterns: Sequence[str]) -> tuple[int, ...]:
    """Joints whose names hold the first of some patterns that any name holds."""
    for pattern in patterns:
        found = tuple(j for j, name in enumerate(layout.joints) if re.search(pattern, name, re.IGNORECASE))
        if found:
            return found
    return ()


def _above(layout: SkeletonLayout, joint: int) -> np.ndarray:
    """(V,) bool: the joint and those on the way to the root, which has no bone."""
    on = np.zeros(layout.num_joints, bool)
    while layout.parents[joint] != joint:
        on[joint] = True
        joint = layout.parents[joint]
    return on


def _up(upward: np.ndarray, options: Mapping[str, Any]) -> Notice | None:
    """Whether most heads (N, C) are not above their feet."""
    lying = upward[:, 1] < _UPRIGHT
    if lying.mean() <= 0.5:
        return None
    mean = upward[lying].mean(0)
    axis = int(np.abs(mean).argmax())
    name = ("-" if mean[axis] < 0 else "") + "xyz"[axis]
    found = f"heads are not above feet in {lying.sum()} of {len(lying)} clips, but along {name}"
    return Notice("up", int(lying.sum()), len(lying), f"{found}; {_other_axis(name, options)}")


def _other_axis(name: str, options: Mapping[str, Any]) -> str:
    """The option that makes people stand whose heads are along an axis of the store."""
    if "up" not in options:
        return "the files have other axes than this format"
    own = options["up"]
    better = _AXES[own].get(name, name)
    return f"try up={better} (now up={own})" if better in _AXES else f"check up={own}"


def _units(stature: np.ndarray, coordinates: int, options: Mapping[str, Any]) -> Notice | None:
    """Whether the median person (N,) is not of human size."""
    low, high, unit = (SHORTEST, TALLEST, "m") if coordinates == 3 else (_SMALLEST_2D, _LARGEST_2D, "image heights")
    median = float(np.median(stature))
    if low <= median <= high or median <= 0:
        return None
    out = int(((stature < low) | (stature > high)).sum())
    found = (
        f"people measure {median:.3g} {unit} from head to foot (median), "
        f"not of human size in {out} of {len(stature)} clips"
    )
    return Notice("units", out, len(stature), f"{found}; {_other_unit(median, coordinates, options)}")


def _other_unit(median: float, coordinates: int, options: Mapping[str, Any]) -> str:
    """The option that makes people human."""
    if coordinates == 2:
        option = next((name for name in ("height", "scale") if name in options), "")
        return f"check {option}={options[option]:g}" if option else "check the size of the images"
    if "units" not in options:
        return "the files are in another unit than this format"
    own = options["units"]
    better = [unit for unit, metres in METRES.items() if SHORTEST <= median * metres / METRES[own] <= TALLEST]
    if better:
        return f"try units={better[0]} (now units={own})"
    return f"check units={own}, or try scale={options.get('scale', 1.0) * 1.6 / median:.3g}"
