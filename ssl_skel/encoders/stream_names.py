"""Names of the input streams and extents; ``streams`` and ``extents`` define what each computes."""

from __future__ import annotations

from typing import Literal

Stream = Literal[
    "joint",
    "bone",
    "pose",
    "pose_deviation",
    "pair_distances",
    "hop1",
    "hop2",
    "joint_motion",
    "bone_motion",
    "hop1_motion",
    "hop2_motion",
]
"""An entry of ``STREAMS``."""

Extent = Literal["none", "box", "axis"]
"""How each clip is moved and scaled before its stream is computed, by ``to_extent``."""
