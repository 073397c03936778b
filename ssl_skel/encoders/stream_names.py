"""Names of the input streams; what each computes stands in ``streams``."""

from __future__ import annotations

from typing import Literal

Stream = Literal["joint", "bone", "pose", "hop1", "hop2", "joint_motion", "bone_motion", "hop1_motion", "hop2_motion"]
"""An entry of ``STREAMS``."""
