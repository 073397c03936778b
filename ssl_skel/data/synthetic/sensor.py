"""Depth cameras: where they stand, what they see, and how they err."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssl_skel.data.synthetic.performance import drift
from ssl_skel.data.synthetic.skeleton import LAYOUT

_REFERENCE_DEPTH = 3.0
_JITTERY = ("hand", "thumb", "wrist", "foot", "ankle")
_JITTER = np.array([1.6 if any(word in joint for word in _JITTERY) else 1.0 for joint in LAYOUT.joints])
_AXES = np.array([1.0, 1.0, 1.5])  # depth is measured worst
_LIMBS = [np.array(part) for part, name in zip(LAYOUT.part, LAYOUT.part_names, strict=True) if name != "spine"]


@dataclass(frozen=True)
class Camera:
    """Where a camera stands; it looks at a point above the middle of the floor.

    Attributes:
        yaw: radians about the vertical; 0 stands in front of somebody who looks along z.
        pitch: radians, downwards.
        height, distance: metres.
    """

    yaw: float
    pitch: float
    height: float
    distance: float

    def see(self, joints: np.ndarray) -> np.ndarray:
        """From the room to the camera's frame: x to the camera's left, y up, z away from it. (..., 3), metres."""
        cos, sin = np.cos(self.yaw + np.pi), np.sin(self.yaw + np.pi)
        around = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        cos, sin = np.cos(self.pitch), np.sin(self.pitch)
        tilt = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
        seen: np.ndarray = (joints @ around - (0, self.height, -self.distance)) @ tilt
        return seen


def place_cameras(count: int, arc: float, rng: np.random.Generator) -> list[Camera]:
    """Cameras evenly over an arc of this many degrees, each at its own height and distance."""
    yaws = np.radians(np.linspace(-arc / 2, arc / 2, count))
    return [
        Camera(float(yaw), *(float(rng.uniform(*bounds)) for bounds in ((0.0, 0.16), (0.9, 1.8), (2.6, 3.8))))
        for yaw in yaws
    ]


def add_noise(joints: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Tracking errors: a slow drift and white noise, larger at hands and feet, in depth, and with distance squared.

    Growth with the square of the depth: Khoshelham & Elberink, Sensors 12(2), 2012.

    Args:
        joints: (M, T, V, 3) in a camera's frame, metres.
        level: standard deviation of the drift of a joint of the trunk at 3 m, metres; white noise has half of it.
    """
    persons, frames, count, axes = joints.shape
    error = drift(rng, frames, persons, count, axes, width=4).swapaxes(0, 1)
    error = error + 0.5 * rng.normal(size=joints.shape)
    depth = (joints[..., 2:] / _REFERENCE_DEPTH) ** 2
    return joints + level * depth * _JITTER[:, None] * _AXES * error


def drop_out(joints: np.ndarray, chance: float, rng: np.random.Generator) -> np.ndarray:
    """Lose track now and then; what is lost is NaN.

    Args:
        joints: (M, T, V, 3).
        chance: that a person loses a limb for a while; a third of it that a whole person is lost for some
            frames, and half of it that a second person is found late only.
    """
    joints = joints.copy()
    frames = joints.shape[1]
    for number, person in enumerate(joints):
        if rng.random() < chance:
            start, length = rng.integers(frames), rng.integers(4, 16)
            person[start : start + length, _LIMBS[rng.integers(len(_LIMBS))]] = np.nan
        if rng.random() < chance / 3:
            start = rng.integers(frames)
            person[start : start + rng.integers(2, 9)] = np.nan
        if number and rng.random() < chance / 2:
            person[: rng.integers(3, frames // 4)] = np.nan
    return joints
