"""Options of PSP Learning in one stage."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from finetune.protocols.configs.trained import FewLabelsConfig
from ssl_skel.config import EntryConfig, EntryOf
from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.pretexts.configs.psp import PSPConfig
from ssl_skel.training.config import OptimConfig


class PSPSemiConfig(FewLabelsConfig):
    """Options of ``PSPSemi``. Defaults are the paper's where it has any; it trains from fresh weights."""

    required_pooling: ClassVar[str] = "mean"

    name: Literal["psp"] = "psp"
    pretext: PSPConfig = PSPConfig()
    """Views, levels and loss of the contrast; its views are also what is classified."""
    weight: float = Field(0.2, ge=0)
    """Weight of the contrast relative to the cross-entropy (PSP: 0.2). 0: the same training on the labelled clips
    alone."""
    unlabelled: int = Field(90, ge=2)
    """Clips of the contrast per step over all ranks, besides ``batch_size`` labelled ones (PSP: 90)."""
    batch_size: int = Field(9, ge=2)
    """Labelled clips per step over all ranks (PSP: 9)."""
    fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.05, 0.15, 0.3, 0.4)
    """Shares of each class's labels (NW-UCLA: 5, 15, 30, 40 %; NTU: 5, 10, 20, 40 %)."""
    optim: OptimConfig = OptimConfig(
        name="sgd", lr=0.01, weight_decay=4e-4, schedule="step", warmup_epochs=5, milestones=(60, 90)
    )
    """PSP: SGD with Nesterov momentum 0.9, steps after epochs 60 and 90. A config that sets it sets all of it."""
    epochs: int = Field(120, ge=1)
    """Passes over the unlabelled clips, also with weight 0 (PSP: 120 of 500 steps each; NTU 60 X-Sub has 445)."""
    augment: tuple[Annotated[EntryConfig, EntryOf(AUGMENTATIONS)], ...] = ()
    """Entries of ``AUGMENTATIONS`` (PSP: none)."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """PSP: none."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """Learning rate of a stage relative to the next one, of pretrained encoders (PSP has none)."""

    @model_validator(mode="after")
    def _labels_go_round(self) -> PSPSemiConfig:
        if self.min_clips:
            raise ValueError("min_clips: psp repeats labelled clips for as long as the unlabelled last; leave it out")
        return self
