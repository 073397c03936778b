"""Options of STTFormer."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from ssl_skel.backbones.configs.base import BackboneConfig


class ArchSpec(NamedTuple):
    """A size, resolved."""

    channels: tuple[int, ...]
    heads: int
    tuple_frames: int
    patch: int


# Saved encoders name their size: never change an entry, add another.
SIZES: dict[str, ArchSpec] = {
    "tiny": ArchSpec((16, 32), 2, 4, 2),
    "small": ArchSpec((64, 64, 64, 128, 128), 3, 8, 4),
    "base": ArchSpec((64, 64, 128, 128, 256, 256, 256, 256), 3, 6, 1),
}


class STTFormerConfig(BackboneConfig):
    """Options of ``STTFormer``. ``size`` is a preset, of which the other fields override parts."""

    name: Literal["sttformer"] = "sttformer"
    size: Literal["tiny", "small", "base"] = "base"
    """``base``: the published eight blocks. ``small``: five, for training on a laptop's CPU.
    ``tiny``: two, for tests."""
    tuple_frames: int | None = Field(None, ge=1)
    """Frames of a tuple (paper: 6, of 120); None: of the size. A clip must hold a whole number of tuples."""
    patch: int | None = Field(None, ge=1)
    """Frames per token; divides ``tuple_frames``. 1 is the paper; more make the network cheaper by about that
    factor; None: of the size."""

    @property
    def arch(self) -> ArchSpec:
        """The preset with the overrides in place."""
        given = {field: getattr(self, field) for field in ("tuple_frames", "patch")}
        return SIZES[self.size]._replace(**{field: value for field, value in given.items() if value is not None})

    @model_validator(mode="after")
    def _check(self) -> STTFormerConfig:
        _, _, frames, patch = self.arch
        if frames % patch:
            raise ValueError(f"patch {patch} must divide tuple_frames {frames}")
        return self
