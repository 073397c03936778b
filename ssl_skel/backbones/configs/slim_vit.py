"""Options of SLiM's transformer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.backbones.configs.st_transformer import ArchSpec

# Saved encoders name their size: never change an entry, add another.
SIZES: dict[str, ArchSpec] = {
    "tiny": ArchSpec(16, 2, 2, 4),
    "small": ArchSpec(128, 4, 4, 4),
    "base": ArchSpec(256, 8, 8, 8),
}


class SLiMViTConfig(BackboneConfig):
    """Options of ``SLiMViT``. ``size`` is a preset, of which the other fields override parts."""

    name: Literal["slim_vit"] = "slim_vit"
    size: Literal["tiny", "small", "base"] = "base"
    """``base``: SLiM's eight blocks of width 256, a token eight frames. ``small``: four of 128, four frames, for
    training on a laptop's CPU. ``tiny``: two of 16, for tests and demos."""
    width: int | None = Field(None, ge=1)
    """D, channels of a token (SLiM: 256); None: of the size."""
    depth: int | None = Field(None, ge=1)
    """Blocks (SLiM: 8); None: of the size."""
    heads: int | None = Field(None, ge=1)
    """Attention heads (SLiM: 8); each has an even share of the width; None: of the size."""
    patch: int | None = Field(None, ge=1)
    """Frames per token (SLiM: 8); None: of the size."""
    registers: int = Field(4, ge=0)
    """Register tokens, besides the class token (SLiM: 4)."""

    @property
    def arch(self) -> ArchSpec:
        """The preset with the overrides in place."""
        given = {field: getattr(self, field) for field in ArchSpec._fields}
        return SIZES[self.size]._replace(**{field: value for field, value in given.items() if value is not None})

    @model_validator(mode="after")
    def _check(self) -> SLiMViTConfig:
        if self.arch.width % (2 * self.arch.heads):
            raise ValueError(f"width {self.arch.width}: must be a multiple of twice the heads = {2 * self.arch.heads}")
        return self
