"""Options of the temporal convolutional network."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ssl_skel.backbones.configs.base import BackboneConfig


class ArchSpec(NamedTuple):
    """A size: channels throughout, and the dilation of each residual block."""

    width: int
    dilations: tuple[int, ...]


# Saved encoders name their size: never change an entry, add another.
SIZES: dict[str, ArchSpec] = {
    "tiny": ArchSpec(16, (1, 2)),
    "small": ArchSpec(64, (1, 2, 4)),
    "base": ArchSpec(128, (1, 2, 4)),
}


class TCNConfig(BackboneConfig):
    """Options of ``TCN``."""

    name: Literal["tcn"] = "tcn"
    size: Literal["tiny", "small", "base"] = "base"
    """``base``: 128 channels. ``small``: 64, for a CPU and a minute. Both see 29 frames around each frame. ``tiny``:
    for tests and demos."""
