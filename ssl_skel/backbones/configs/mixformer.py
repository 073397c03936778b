"""Options of FreqMixFormer and FreqMixFormerV2."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field

from ssl_skel.backbones.configs.base import BackboneConfig


class ArchSpec(NamedTuple):
    """A size, resolved."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    patch: int


# Saved encoders name their size: never change an entry, add another.
SIZES: dict[str, ArchSpec] = {
    "tiny": ArchSpec((40, 40), (1, 2), 2),
    "small": ArchSpec((80, 80, 160, 160), (1, 1, 2, 1), 4),
    "base": ArchSpec((80,) * 4 + (160,) * 3 + (320,) * 3, (1, 1, 1, 1, 2, 1, 1, 2, 1, 1), 1),
}


class MixFormerConfig(BackboneConfig):
    """Options of both networks. ``size`` is a preset, of which the other fields override parts."""

    size: Literal["tiny", "small", "base"] = "base"
    """``base``: the published ten blocks. ``small``: four, for training on a laptop's CPU. ``tiny``: two, for tests."""
    patch: int | None = Field(None, ge=1)
    """Frames per token. 1 is the paper; more make the network cheaper by about that factor; None: of the size."""
    dct_axis: Literal["time", "joint"] = "time"
    """Axis of the cosine transform. ``time``: each joint's path, as the paper says. ``joint``: across the joints of a
    frame, in the order of the layout, as FreqMixFormer's released code does."""
    cut: float = Field(0.5, ge=0.0, le=1.0)
    """Share of the coefficients, from the slowest on, that counts as low frequency (released code: 13 of 25)."""

    @property
    def arch(self) -> ArchSpec:
        """The preset with the overrides in place."""
        arch = SIZES[self.size]
        return arch if self.patch is None else arch._replace(patch=self.patch)


class FreqMixFormerConfig(MixFormerConfig):
    """Options of ``FreqMixFormer``."""

    name: Literal["freqmixformer"] = "freqmixformer"
    phi: float = Field(0.5, gt=0.0, lt=1.0)
    """The frequency operator: low frequencies are scaled by phi, high ones by 1 + phi (released code: 0.5)."""


class FreqMixFormerV2Config(MixFormerConfig):
    """Options of ``FreqMixFormerV2``."""

    name: Literal["freqmixformer_v2"] = "freqmixformer_v2"
