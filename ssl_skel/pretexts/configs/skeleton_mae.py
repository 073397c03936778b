"""Options of SkeletonMAE."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ssl_skel.config import EntryConfig, EntryOf
from ssl_skel.pretexts.configs import Positive
from ssl_skel.pretexts.configs.focus import FocusConfig
from ssl_skel.pretexts.masking import MASKS
from ssl_skel.pretexts.masking.config import MaskConfig, UnionMaskConfig


class SkeletonMAEConfig(EntryConfig):
    """Options of ``SkeletonMAE``."""

    name: Literal["skeleton_mae"] = "skeleton_mae"
    mask: Annotated[MaskConfig, EntryOf(MASKS)] = UnionMaskConfig()
    """Which units are hidden; default as in SkeletonMAE (Wu et al., ICMEW 2023)."""
    unit: Positive = 4
    """u, frames of a unit, which is hidden or seen as a whole (MAMP: 4)."""
    encode: Literal["all", "visible"] = "all"
    """Which frames enter the network. visible: frames of which every joint is hidden do not, and the others stand side
    by side, as the tokens of MAE do; for mask union, whose cost falls by about ``frame_ratio``. What convolves over
    time then meets neighbours that are further apart. Needs a ``unit`` that the network's stride divides."""
    target: Literal["coordinate", "motion"] = "coordinate"
    """What is predicted of the encoder's stream: its values (SkeletonMAE), or their change (MAMP). Where joints have a
    score, that is predicted as it is."""
    motion_stride: Positive = 1
    """Frames that a change spans, for target motion (MAMP: 1)."""
    target_frame: Literal["input", "body"] = "input"
    """Axes of the target. input: those of what the encoder sees. body: turned about the upright axis so that the first
    person faces the camera as the clip begins; with rotation among the augmentations, every viewpoint then has the same
    target, and the features learn to ignore the viewpoint. Ours; needs three coordinates, y up."""
    loss_on: Literal["hidden", "all"] = "hidden"
    """Which units count: those hidden (SkeletonMAE), or all; in the body's axes no unit is a copy of the input."""
    error: Literal["squared", "cosine"] = "squared"
    """Distance of a predicted unit and its target. squared: as in MAE. cosine: (1 - cosine) ** ``cosine_power``
    (SkeletonMAE of Yan et al., ICCV 2023); with ``mask.level: part`` its regions are hidden."""
    cosine_power: Annotated[float, Field(ge=1.0)] = 2.0
    """Exponent of ``error: cosine``; with larger values, units that are nearly right count less (GraphMAE: 1 to 3)."""
    focus: FocusConfig | None = None
    """Squared errors are weighted by motion energy, so that moving joints count more (AMR); null: all equally."""
    normalize: bool = True
    """Scale each target unit by its own mean and deviation (MAMP, after MAE)."""
    normalize_eps: Annotated[float, Field(gt=0.0)] = 1e-6
    """Added to the variance of a unit (MAMP: 1e-6); with larger values, sensor noise of still joints counts less."""
    decoder: Literal["axial", "joint", "cross", "gin"] = "axial"
    """Entry of ``DECODERS``. axial: attention in turn over joints and over frames; ours, cheap. joint: over all at once
    (MAMP). cross: of mask tokens over what is visible, each on its own (CrossMAE); the cheapest. gin: sums along the
    bones of each frame (SkeletonMAE of Yan et al.), which see no other frame."""
    decoder_input: Literal["all", "visible", "pooled"] = "all"
    """Which features the decoder gets: all; those of cells with a visible frame, and a learned token for the others
    (MAE, MAMP); or only their mean, as with pooling ``mean``. Paper silent. A network that computes only visible cells
    has zeros for the others: visible is for such networks, and for decoder cross."""
    decoder_dim: Positive = 64
    """Width of the decoder. Departs from print (MAMP: 256), which would cost more than the encoder."""
    decoder_depth: Annotated[int, Field(ge=0)] = 2
    """Blocks of the decoder (MAMP: 3 on NTU-60, 5 on NTU-120; Yan et al.: 1); 0 is a linear head, which
    decoder cross cannot be."""
    decoder_heads: Positive = 4
    """Heads of a block; must divide ``decoder_dim``. Decoder gin has none. Paper silent."""
    decoder_sample: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the counting units that each step predicts, drawn anew; below 1 for decoder cross only, whose cost
    falls with it (CrossMAE, Fu et al., TMLR 2025, predicts a third of what is hidden)."""
    decoder_span: Positive = 1
    """Cells of a joint that are predicted as one, so that there are fewer and larger targets; above 1 for decoder cross
    only (AMR, Sun et al., CVPR 2026: 6 cells of 4 frames)."""

    @model_validator(mode="after")
    def _check(self) -> SkeletonMAEConfig:
        if self.focus is not None and self.error == "cosine":
            raise ValueError("focus: weights squared errors; leave it out, or write error: squared")
        if self.encode == "visible" and self.mask.name != "union":
            raise ValueError("encode: visible needs frames that are hidden as a whole; use mask union, or all")
        if self.encode == "visible" and self.decoder_input == "all":
            raise ValueError("decoder_input: hidden frames have no features; write visible or pooled, or encode all")
        if self.decoder != "cross" and self.decoder_span > 1:
            raise ValueError(f"decoder_span: {self.decoder} predicts cell by cell; use decoder cross, or 1")
        if self.decoder == "cross" and self.decoder_input == "all":
            raise ValueError("decoder_input: cross attends to what is visible; write visible or pooled")
        if self.decoder == "cross" and not self.decoder_depth:
            raise ValueError("decoder_depth: cross reads the features in its blocks; write 1 or more")
        if self.decoder != "cross" and self.decoder_sample < 1:
            raise ValueError(f"decoder_sample: {self.decoder} predicts every unit at one cost; use decoder cross, or 1")
        return self
