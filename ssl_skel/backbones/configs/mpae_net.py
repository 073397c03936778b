"""Options of MPAE-Net."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from ssl_skel.backbones.configs.base import BackboneConfig


class ArchSpec(NamedTuple):
    """A size, resolved."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    heads: int
    patch: int


# Saved encoders name their size: never change an entry, add another.
SIZES: dict[str, ArchSpec] = {
    "tiny": ArchSpec((32, 64), (1, 2), 2, 4),
    "small": ArchSpec((64, 64, 64, 128, 128, 128), (1, 1, 1, 2, 1, 1), 4, 4),
    "base": ArchSpec((64,) * 4 + (128,) * 3 + (256,) * 3, (1, 1, 1, 1, 2, 1, 1, 2, 1, 1), 8, 1),
}


class MPAENetConfig(BackboneConfig):
    """Options of ``MPAENet``. ``size`` is a preset, of which the other fields override parts."""

    name: Literal["mpae_net"] = "mpae_net"
    size: Literal["tiny", "small", "base"] = "base"
    """``base``: the paper's ten layers. ``small``: six layers, for training on a laptop's CPU.
    ``tiny``: two layers, for tests and demos."""
    channels: tuple[int, ...] | None = None
    """Channels out of each layer (paper, Sec. 4.2: 64 four times, 128 and 256 three times); None: of the size."""
    strides: tuple[int, ...] | None = None
    """Temporal stride of each layer (paper silent; base: 2 at layers 5 and 8 as in CTR-GCN, whose
    channel plan this is); None: of the size."""
    heads: int | None = Field(None, ge=1)
    """Attention heads (paper: 8); each width must be a multiple of it; None: of the size."""
    patch: int | None = Field(None, ge=1)
    """Frames per token. 1 is the paper; more make the network cheaper by about that factor; None: of the size."""
    reduction: int = Field(8, ge=1)
    """Squeeze ratio alpha of MTE (paper, Table 1: 8)."""
    norm: Literal["batch", "layer"] = "batch"
    """``batch``: BatchNorm, as the paper names it. ``layer``: LayerNorm over channels; no sample sees another,
    and mask tokens do not affect the statistics used later for unmasked clips."""

    parts: bool = True
    """Body parts in addition to the joints, and MPA's attention between them. false: without PPE (paper, Table 2)."""
    positions: Literal["pairs", "distances", "none"] = "pairs"
    """Position vectors of MPA. ``pairs``: one per pair of joints, from one to the other. ``distances``: one per
    difference of their numbers, shared by all pairs of that difference. ``none``: no vectors, gate or graph, so that
    attention is
    plain: without MPA (paper, Table 2)."""
    excitation: bool = True
    """MTE in each layer. false: a convolution over 9 frames in its place: without MTE (paper, Table 2)."""
    part_mean: Literal["joints", "padded"] = "joints"
    """How a part's feature is computed. ``joints``: the mean of its joints that are seen. ``padded``: their sum over
    the number of joints of the largest part, as if zeros padded each part."""
    scaled: bool = True
    """Whether scores of attention are divided by sqrt(d); the paper prints no such factor."""

    @property
    def complete(self) -> bool:
        """Whether no part of the paper's Table 2 is left out."""
        return self.parts and self.excitation and self.positions != "none"

    @property
    def arch(self) -> ArchSpec:
        """The preset with the overrides in place."""
        given = {field: getattr(self, field) for field in ArchSpec._fields}
        return SIZES[self.size]._replace(**{field: value for field, value in given.items() if value is not None})

    @model_validator(mode="after")
    def _check(self) -> MPAENetConfig:
        channels, strides, heads, _ = self.arch
        if not channels or len(channels) != len(strides):
            raise ValueError(
                f"channels names {len(channels)} layers and strides {len(strides)}; give one number per layer"
            )
        if min(channels) < 4 or any(width % heads for width in channels):
            raise ValueError(f"channels {list(channels)}: each must be at least 4 and a multiple of heads = {heads}")
        if min(strides) < 1:
            raise ValueError(f"strides {list(strides)}: each must be 1 or more")
        return self
