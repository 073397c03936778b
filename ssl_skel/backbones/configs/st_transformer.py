"""Options of the spatio-temporal transformer."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from ssl_skel.backbones.configs.base import BackboneConfig


class ArchSpec(NamedTuple):
    """A size, resolved."""

    width: int
    depth: int
    heads: int
    patch: int


# Saved encoders name their size: never change an entry, add another.
SIZES: dict[str, ArchSpec] = {
    "tiny": ArchSpec(16, 2, 2, 4),
    "small": ArchSpec(128, 4, 4, 4),
    "base": ArchSpec(256, 8, 8, 4),
}


class STTransformerConfig(BackboneConfig):
    """Options of ``STTransformer``. ``size`` is a preset, of which the other fields override parts."""

    name: Literal["st_transformer"] = "st_transformer"
    size: Literal["tiny", "small", "base"] = "base"
    """``base``: MAMP's eight blocks of width 256. ``small``: four of 128, for training on a laptop's CPU.
    ``tiny``: two of 16, for tests and demos."""
    width: int | None = Field(None, ge=1)
    """D, channels of a token (MAMP: 256); None: of the size."""
    depth: int | None = Field(None, ge=1)
    """Blocks (MAMP: 8); None: of the size."""
    heads: int | None = Field(None, ge=1)
    """Attention heads (MAMP: 8); must divide the width; None: of the size."""
    patch: int | None = Field(None, ge=1)
    """Frames per token (MAMP: 4); None: of the size."""
    drop_path: float = Field(0.0, ge=0, lt=1)
    """Chance that a person skips a branch of the last block in training, rising evenly from 0 at the first (stochastic
    depth, Huang et al., ECCV 2016). MAMP: 0 in pretraining, 0.3 in fine-tuning."""

    @property
    def arch(self) -> ArchSpec:
        """The preset with the overrides in place."""
        given = {field: getattr(self, field) for field in ArchSpec._fields}
        return SIZES[self.size]._replace(**{field: value for field, value in given.items() if value is not None})

    @model_validator(mode="after")
    def _check(self) -> STTransformerConfig:
        if self.arch.width % self.arch.heads:
            raise ValueError(f"width {self.arch.width}: must be a multiple of heads = {self.arch.heads}")
        return self
