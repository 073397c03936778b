"""Options of ST-GCN and its descendants, CTR-GCN and InfoGCN."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from ssl_skel.backbones.configs.base import BackboneConfig


class ArchSpec(NamedTuple):
    """Channels out and temporal stride of each layer."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]


class GraphNetConfig(BackboneConfig):
    """Options of ``GraphNet``. ``size`` is a preset, of which the other fields override parts."""

    sizes: ClassVar[dict[str, ArchSpec]]
    """Presets. Saved encoders name theirs: never change an entry, add another."""
    multiple: ClassVar[int] = 1
    """What each layer's channels must be a multiple of."""

    size: Literal["tiny", "small", "base"] = "base"
    """``base``: as published. ``small``: for training on a laptop's CPU. ``tiny``: for tests and demos."""
    channels: tuple[int, ...] | None = None
    """Channels out of each layer; None: of the size."""
    strides: tuple[int, ...] | None = None
    """Temporal stride of each layer; None: of the size."""

    @property
    def arch(self) -> ArchSpec:
        """The preset with the overrides in place."""
        given = {field: getattr(self, field) for field in ArchSpec._fields}
        return self.sizes[self.size]._replace(**{field: value for field, value in given.items() if value is not None})

    @model_validator(mode="after")
    def _check(self) -> GraphNetConfig:
        channels, strides = self.arch
        if not channels or len(channels) != len(strides):
            raise ValueError(
                f"channels names {len(channels)} layers and strides {len(strides)}; give one number per layer"
            )
        if any(width < 1 or width % self.multiple for width in channels):
            raise ValueError(f"channels {list(channels)}: each must be a multiple of {self.multiple}, at least 1")
        if min(strides) < 1:
            raise ValueError(f"strides {list(strides)}: each must be 1 or more")
        return self


class STGCNConfig(GraphNetConfig):
    """Options of ``STGCN``."""

    sizes: ClassVar[dict[str, ArchSpec]] = {
        "tiny": ArchSpec((16, 16), (2, 2)),
        "small": ArchSpec((32, 32, 64, 64, 128, 128), (2, 1, 2, 1, 2, 1)),
        "base": ArchSpec((64,) * 4 + (128,) * 3 + (256,) * 3, (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)),
    }

    name: Literal["st_gcn"] = "st_gcn"
    kernel: int = Field(9, ge=1)
    """Frames of a temporal convolution, odd (paper: 9)."""
    partition: Literal["layout", "released"] = "layout"
    """Which neighbours share weights. ``layout``: those nearer the layout's root, and those farther, as in the paper.
    ``released``: as net/utils/graph.py has it: the root is the joint between the shoulders, and distances are known up
    to one bone from it; beyond, all neighbours count as farther."""

    @model_validator(mode="after")
    def _odd(self) -> STGCNConfig:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel}: must be odd, so that it has a middle frame")
        return self


class CTRGCNConfig(GraphNetConfig):
    """Options of ``CTRGCN``."""

    sizes: ClassVar[dict[str, ArchSpec]] = {
        "tiny": ArchSpec((16, 16), (2, 2)),
        "small": ArchSpec((32, 32, 64, 64, 128, 128), (2, 1, 2, 1, 2, 1)),
        "base": ArchSpec((64,) * 4 + (128,) * 3 + (256,) * 3, (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)),
    }
    multiple: ClassVar[int] = 4
    """Branches of the temporal convolution."""

    name: Literal["ctr_gcn"] = "ctr_gcn"


class InfoGCNConfig(GraphNetConfig):
    """Options of ``InfoGCN``."""

    sizes: ClassVar[dict[str, ArchSpec]] = {
        "tiny": ArchSpec((16, 16), (2, 2)),
        "small": ArchSpec((32, 32, 64, 64, 128, 128), (2, 1, 2, 1, 2, 1)),
        "base": ArchSpec((64,) * 3 + (128,) * 3 + (256,) * 3, (1, 1, 1, 2, 1, 1, 2, 1, 1)),
    }
    multiple: ClassVar[int] = 4
    """Branches of the temporal convolution."""

    name: Literal["infogcn"] = "infogcn"
    heads: int = Field(3, ge=1)
    """Graphs per layer (released code: 3)."""
