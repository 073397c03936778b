"""Options of SJEPA."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ssl_skel.config import EntryConfig, EntryOf
from ssl_skel.pretexts.configs import Positive
from ssl_skel.pretexts.masking import MASKS
from ssl_skel.pretexts.masking.config import MaskConfig, MotionMaskConfig

Temperature = Annotated[float, Field(gt=0.0)]


class SJEPAConfig(EntryConfig):
    """Options of ``SJEPA``."""

    name: Literal["s_jepa"] = "s_jepa"
    mask: Annotated[MaskConfig, EntryOf(MASKS)] = MotionMaskConfig()
    """Which units are hidden (S-JEPA: MAMP's mask, nine of ten)."""
    unit: Positive = 4
    """Frames of a unit, which is hidden or seen as a whole (MAMP: 4)."""
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.996
    """Momentum of the teacher as training begins; it rises to 1 along half a cosine (DINO: 0.996). Paper not at hand.
    Lower it for trainings of a few hundred steps, which would end with a teacher that has hardly moved."""
    temperature: Temperature = 0.1
    """Temperature of the student (DINO: 0.1). Paper not at hand."""
    teacher_temperature: Temperature = 0.06
    """Temperature of the teacher (DINO: 0.04 to 0.07). Paper not at hand."""
    predictor: Literal["axial", "joint"] = "axial"
    """Entry of ``DECODERS`` that predicts; joint attends over all at once (MAMP), axial in turn; ours, cheap."""
    predictor_dim: Positive = 64
    """Width of the predictor. Departs from print (MAMP's decoder: 256)."""
    predictor_depth: Positive = 2
    """Blocks of the predictor. Paper not at hand."""
    predictor_heads: Positive = 4
    """Heads of a block; must divide ``predictor_dim``. Paper not at hand."""

    @model_validator(mode="after")
    def _check(self) -> SJEPAConfig:
        if self.predictor_dim % self.predictor_heads:
            raise ValueError(f"predictor_dim: must be a multiple of predictor_heads = {self.predictor_heads}")
        return self
