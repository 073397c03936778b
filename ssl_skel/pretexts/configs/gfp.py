"""Options of GFP."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ssl_skel.config import EntryConfig, EntryOf
from ssl_skel.pretexts.configs import Positive
from ssl_skel.pretexts.masking import MASKS
from ssl_skel.pretexts.masking.config import MaskConfig, MotionMaskConfig

Weight = Annotated[float, Field(ge=0.0)]


class GFPConfig(EntryConfig):
    """Options of ``GFP``."""

    name: Literal["gfp"] = "gfp"
    mask: Annotated[MaskConfig, EntryOf(MASKS)] = MotionMaskConfig()
    """Which units are hidden (GFP: MAMP's mask, nine of ten)."""
    unit: Positive = 4
    """Frames of a unit, which is hidden or seen as a whole (GFP: 4)."""
    stretches: tuple[Positive, ...] = Field((4, 2, 1), min_length=1)
    """Into how many stretches of time each level divides a clip, from fine to coarse; each has a target for every joint
    (GFP: 6, 3, 1 of 120 frames, so that with the global one there are 251 targets for 25 joints)."""
    target_dim: Positive = 256
    """Features of a target. Paper not at hand."""
    target_hidden: Positive = 512
    """Width of the networks that compute the targets of stretches (GFP: 512)."""
    global_hidden: Positive = 2048
    """Width of the network that computes the target of the whole clip (GFP: 2048)."""
    prediction: Weight = 5.0
    """Weight of the prediction error (GFP: 5)."""
    covariance: Weight = 5.0
    """Weight of the squared covariances of the targets' dimensions (GFP: 5)."""
    variance: Weight = 1.0
    """Weight of the hinge that keeps their deviations at 1 or more (GFP: 1)."""
    decoder_dim: Positive = 64
    """Width of the decoder, as in ``SkeletonMAE``. Departs from print (MAMP's encoder, on which GFP builds: 256)."""
    decoder_depth: Positive = 1
    """Blocks of each level. Paper not at hand."""
    decoder_heads: Positive = 4
    """Heads of a block; must divide ``decoder_dim``. Paper not at hand."""

    @model_validator(mode="after")
    def _check(self) -> GFPConfig:
        if any(fine % coarse or fine == coarse for fine, coarse in pairwise(self.stretches)):
            raise ValueError(f"stretches {list(self.stretches)}: each must divide the one before it, as in [4, 2, 1]")
        if self.decoder_dim % self.decoder_heads:
            raise ValueError(f"decoder_dim: must be a multiple of decoder_heads = {self.decoder_heads}")
        return self
