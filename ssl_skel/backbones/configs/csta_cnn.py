"""Options of CSTA-CNN."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field

from ssl_skel.backbones.configs.base import BackboneConfig


class ArchSpec(NamedTuple):
    """A size: channels of a joint's features, how many of them are passed on, those of the four convolutions, and the
    pools.
    """

    lift: int
    points: int
    channels: tuple[int, int, int, int]
    pools: tuple[tuple[int, int], ...]


# Saved encoders name their size: never change an entry, add another.
SIZES: dict[str, ArchSpec] = {
    "tiny": ArchSpec(16, 8, (8, 16, 16, 16), ((2, 2), (2, 2), (1, 1), (1, 1))),
    "small": ArchSpec(64, 32, (32, 64, 128, 256), ((2, 2), (2, 2), (1, 2), (1, 2))),
    "base": ArchSpec(64, 32, (32, 64, 128, 256), ((2, 2), (2, 2), (2, 2), (2, 2))),
}


class CSTACNNConfig(BackboneConfig):
    """Options of ``CSTACNN``."""

    name: Literal["csta_cnn"] = "csta_cnn"
    size: Literal["tiny", "small", "base"] = "base"
    """``base``: HCN's widths, 16 frames in per frame out. ``small``: the same with 4, for pretexts that need single
    frames. ``tiny``: for tests and demos."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of channels dropped after the last three convolutions (HCN-pytorch: 0.5). The default 0 gives a pretext no
    noise but its own; set it when the network is trained with labels."""
