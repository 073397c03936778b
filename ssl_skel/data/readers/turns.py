"""Turns about an axis."""

from __future__ import annotations

import numpy as np


def turn_about(axis: str, angles: np.ndarray, *, degrees: bool = True) -> np.ndarray:
    """(T, 3, 3) matrices that turn column vectors about an axis.

    Args:
        axis: x, y or z.
        angles: (T,).
        degrees: that the angles are; else radians.
    """
    angles = np.radians(angles) if degrees else angles
    with np.errstate(invalid="ignore"):  # infinity has no sine
        cos, sin = np.cos(angles), np.sin(angles)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    turn = np.tile(np.eye(3), (len(angles), 1, 1))
    turn[:, first, first] = turn[:, second, second] = cos
    turn[:, first, second], turn[:, second, first] = -sin, sin
    return turn
