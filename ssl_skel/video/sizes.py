"""Sizes of the network for frames of a video."""

from __future__ import annotations

from typing import Literal

RGBSize = Literal["tiny", "small", "base"]
"""``base`` is the paper's."""
