"""Options of DSTA-Net."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field

from ssl_skel.backbones.configs.base import BackboneConfig


class ArchSpec(NamedTuple):
    """A size, resolved."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    heads: int
    patch: int


# Saved encoders name their size: never change an entry, add another.
SIZES: dict[str, ArchSpec] = {
    "tiny": ArchSpec((16, 32), (1, 2), 2, 2),
    "small": ArchSpec((64, 64, 128, 128), (1, 1, 2, 1), 3, 4),
    "base": ArchSpec((64, 64, 128, 128, 256, 256, 256, 256), (1, 1, 2, 1, 2, 1, 1, 1), 3, 1),
}


class DSTANetConfig(BackboneConfig):
    """Options of ``DSTANet``. ``size`` is a preset, of which the other fields override parts."""

    name: Literal["dsta_net"] = "dsta_net"
    size: Literal["tiny", "small", "base"] = "base"
    """``base``: the published eight blocks. ``small``: four, for training on a laptop's CPU. ``tiny``: two, for
    tests."""
    time: Literal["attention", "convolution"] = "convolution"
    """What connects frames: attention, as in the paper and the released configs for hands (SHREC, DHG); or a
    convolution over 7 frames, as in the released config for NTU 60, which is cheaper."""
    patch: int | None = Field(None, ge=1)
    """Frames per token. 1 is the paper; more make the network cheaper by about that factor; None: of the size."""

    @property
    def arch(self) -> ArchSpec:
        """The preset with the overrides in place."""
        arch = SIZES[self.size]
        return arch if self.patch is None else arch._replace(patch=self.patch)
