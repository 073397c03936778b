"""Options of X-ShiftNet."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from pydantic import Field

from ssl_skel.backbones.configs.base import BackboneConfig


class ArchSpec(NamedTuple):
    """Widths of an X-ShiftNet.

    Attributes:
        stem_stride: spatial stride of the stem.
        widths, depths: channels and blocks of each stage; each halves height and width.
        share: one in this many channels is shifted back in time, and as many forward.
        dim: channels out.
    """

    stem_stride: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    share: int
    dim: int

    def sides(self, side: int) -> list[int]:
        """Sides h = w of the input of each stage and of the output of the last, for square pictures.

        Each stride rounds up.
        """
        found = [math.ceil(side / self.stem_stride)]
        for _ in self.widths:
            found.append(math.ceil(found[-1] / 2))
        return found


class Size(NamedTuple):
    """A size of the pose network: pixels of a heat-map's side, frames between those drawn, widths."""

    side: int
    stride: int
    arch: ArchSpec


# Saved encoders name their size: never change an entry, add another.
SIZES: dict[str, Size] = {
    "tiny": Size(8, 2, ArchSpec(1, (8, 16), (1, 2), 4, 16)),
    "small": Size(28, 2, ArchSpec(2, (24, 48, 96), (1, 2, 2), 4, 216)),
    "base": Size(56, 1, ArchSpec(1, (24, 48, 96), (5, 11, 7), 4, 216)),
}


class XShiftConfig(BackboneConfig):
    """Options of ``PoseXShiftNet``. ``size`` is a preset, of which the other fields override parts."""

    name: Literal["xshift"] = "xshift"
    size: Literal["tiny", "small", "base"] = "base"
    """``base``: the paper's network, which sees 48 frames. ``small``: smaller heat-maps of every other frame and fewer
    blocks, for training on a laptop's CPU. ``tiny``: for tests and demos."""
    side: int | None = Field(None, ge=4)
    """Pixels of a heat-map's side (paper: 56); None: of the size."""
    stride: int | None = Field(None, ge=1)
    """One in this many frames is drawn (paper: all of 48 taken evenly from a clip); None: of the size."""
    sigma: float = Field(0.6, gt=0)
    """Sigma of the Gaussian, pixels (paper: 0.6)."""
    padding: float = Field(0.25, ge=0)
    """Share of its size by which a person's box is widened (paper: 0.25)."""
    mirrored: bool | None = None
    """Whether joints are drawn as a mirror shows them, as a Kinect's pictures do; null: three coordinates are, two are
    not. Set false for joints in space that were found in ordinary videos, such as MediaPipe's, which a store turns by
    half a turn. It matters together with videos, and when joints of both kinds are mixed."""

    @property
    def resolved(self) -> Size:
        """The preset with the overrides in place."""
        side, stride, arch = SIZES[self.size]
        return Size(self.side or side, self.stride or stride, arch)
