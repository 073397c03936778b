"""Clips for pages and pictures, and their compact form inside a page: small enough to mail."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ssl_skel.layouts import SkeletonLayout

BUDGET = 3_300_000
"""Bytes for the coordinates of all clips of a page, which holds a third more, as it is text."""
FPS = 30.0
"""Frames a second at which a clip of unknown rate plays."""

_LEVELS = 32767  # of int16; the value below its range marks a joint that is missing
_MISSING = -32768


@dataclass(frozen=True, eq=False)
class RenderableClip:
    """One clip to draw.

    Attributes:
        name: written above it.
        joints: (M, T, V, C) metres, y up, C 2 or 3; someone who faces the camera has the left at smaller x, as from
            readers. NaN where a joint is not drawn.
        layout: its joints.
        facts: text under it, in order, such as label, subject, similarity.
        fps: frames a second.
        heat: (M, T, V) between -1 and 1, drawn as the joints' size and colour, 0 as plain ones; None: plain joints.

    Raises:
        ValueError: shapes that do not fit.
    """

    name: str
    joints: np.ndarray
    layout: SkeletonLayout
    facts: Mapping[str, str] = field(default_factory=dict)
    fps: float = FPS
    heat: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape, count = self.joints.shape, self.layout.num_joints
        if len(shape) != 4 or 0 in shape or shape[2] != count or self.layout.coordinates(shape[3]) not in (2, 3):
            raise ValueError(f"{self.name}: joints must be (M, T, {count}, 2 or 3), got {shape}")
        if self.heat is not None and self.heat.shape != shape[:3]:
            raise ValueError(f"{self.name}: heat must be {shape[:3]}, got {self.heat.shape}")
        if not self.fps > 0:
            raise ValueError(f"{self.name}: fps must be above 0, got {self.fps}")

    @property
    def places(self) -> np.ndarray:
        """The joints' coordinates, without scores."""
        return self.joints[..., : self.layout.coordinates(self.joints.shape[-1])]

    @property
    def several(self) -> bool:
        """Whether a second person is seen at any time."""
        return bool(np.isfinite(self.joints[1:]).all(-1).any())

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.joints.shape[1] / self.fps


def length_fact(frames: int, fps: float) -> str:
    """How long a clip lasts, in words.

    Args:
        frames: of the clip.
        fps: frames a second; 0: unknown.

    >>> length_fact(75, 30.0), length_fact(75, 0.0)
    ('2.5 s, 75 frames at 30 fps', '75 frames, rate unknown, played at 30 fps')
    """
    if fps > 0:
        return f"{frames / fps:.1f} s, {frames} frames at {fps:.3g} fps"
    return f"{frames} frames, rate unknown, played at {FPS:g} fps"


def pack(clips: Sequence[RenderableClip], budget: int = BUDGET) -> dict[str, Any]:
    """Clips in the form that a page's script reads, as plain JSON values.

    Coordinates travel as int16: each is off by at most 1/131068 of the clip's widest extent, 0.03 mm for one of four
    metres. A clip that would take more than its share of the budget loses frames, evenly; it lasts as long as before.

    Args:
        clips: in the order by which the page's players number them.
        budget: bytes for the coordinates of all; a page holds a third more, as it is text.

    Returns:
        ``layouts`` (joints, parents and sides) and ``clips``, which name their layout by its number.
    """
    layouts: dict[int, SkeletonLayout] = {id(clip.layout): clip.layout for clip in clips}
    numbers = {key: at for at, key in enumerate(layouts)}
    share = budget // max(1, len(clips))
    return {
        "layouts": [
            {
                "joints": list(layout.joints),
                "parents": list(layout.parents),
                "sides": sides(layout),
                "centre": layout.centre,
            }
            for layout in layouts.values()
        ],
        "clips": [{"layout": numbers[id(clip.layout)]} | _packed(clip, share) for clip in clips],
    }


def unpack(packed: Mapping[str, Any]) -> np.ndarray:
    """The joints of one of ``pack``'s clips as the script sees them, (M, T, V, 3); NaN where nothing is drawn."""
    numbers = np.frombuffer(base64.b64decode(packed["joints"]), "<i2")
    numbers = numbers.reshape(packed["persons"], packed["frames"], -1, 3)
    points = numbers * packed["step"] + np.array(packed["middle"])
    return np.where(numbers == _MISSING, np.nan, points)


def _packed(clip: RenderableClip, share: int) -> dict[str, Any]:
    persons, frames, count, channels = clip.places.shape
    room = max(8, share // (persons * count * 6))
    kept = np.arange(frames) if frames <= room else np.linspace(0, frames - 1, room).round().astype(int)
    joints = clip.places[:, kept].astype(np.float64)
    if channels == 2:
        joints = np.concatenate([joints, np.zeros_like(joints[..., :1])], -1)
    there = np.asarray(np.isfinite(joints).all(-1))
    points = joints[there] if there.any() else np.zeros((1, 3))
    low, high = points.min(0), points.max(0)
    middle, step = (low + high) / 2, max(float((high - low).max()) / 2 / _LEVELS, 1e-12)
    with np.errstate(invalid="ignore"):
        numbers = np.where(there[..., None], ((joints - middle) / step).round(), _MISSING)
    packed = {
        "name": clip.name,
        "facts": dict(clip.facts),
        "persons": persons,
        "frames": len(kept),
        "fps": clip.fps * len(kept) / frames,
        "step": step,
        "middle": middle.tolist(),
        "joints": base64.b64encode(numbers.astype("<i2").tobytes()).decode(),
    }
    if clip.heat is not None:
        heat = (np.clip(clip.heat[:, kept], -1, 1) * 127).round().astype(np.int8)
        packed["heat"] = base64.b64encode(heat.tobytes()).decode()
    return packed


def sides(layout: SkeletonLayout) -> str:
    """One letter per joint: L left, R right, C neither; by name, by ``across``, or like its parent.

    >>> from ssl_skel.layouts import LAYOUTS
    >>> sides(LAYOUTS["sbu15"])
    'CCCLLLRRRLLLRRR'
    """
    found: dict[int, str] = {layout.across[0]: "L", layout.across[1]: "R"}
    for joint, name in enumerate(layout.joints):
        words = re.split(r"[_\W]+", name.lower())
        if layout.mirror[joint] == joint:
            found[joint] = "C"
        elif "left" in words or "right" in words:
            found[joint] = "L" if "left" in words else "R"

    def side(joint: int) -> str:
        if joint not in found:
            found[joint] = side(layout.parents[joint]) if layout.parents[joint] != joint else "C"
        return found[joint]

    return "".join(side(joint) for joint in range(layout.num_joints))
