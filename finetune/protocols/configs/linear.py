"""Options of linear probes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finetune.protocols.configs.base import ProtocolConfig
from ssl_skel.config import RowConfig, RowOf
from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.data.augment.config import RotateConfig
from ssl_skel.data.crop import Crop


class LinearConfig(ProtocolConfig):
    """Options of ``Linear``. Those of the live probe are MAMP's (Mao et al., ICCV 2023)."""

    name: Literal["linear"] = "linear"
    mode: Literal["closed", "live", "both"] = "closed"
    """closed: logistic regression on cached features, seconds. live: BatchNorm + linear layer trained with
    augmentation through the frozen encoder, as papers do; as long as training an encoder forwards."""
    c: float | None = Field(None, gt=0)
    """Closed: inverse L2 strength; null chooses it on held-out training subjects."""
    copies: int = Field(0, ge=0)
    """Closed: augmented copies of each training clip that are embedded and fitted beside it, the cached counterpart
    of the live probe's augmentation; raw coordinates get theirs too."""
    epochs: int = Field(100, ge=1)
    """Live: the last one is reported."""
    batch_size: int = Field(128, ge=2)
    """Live: clips a step. MAMP: 128 on each of 2 GPUs. The draws of ``copies`` come in such batches too."""
    lr: float = Field(0.1, gt=0)
    """Live: SGD, cosine to 0, no warm-up."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Live: of SGD."""
    crop: Crop = (0.5, 1.0)
    """Live and copies: smallest and largest share of a training clip that is cropped."""
    augment: tuple[Annotated[RowConfig, RowOf(AUGMENTATIONS)], ...] = (RotateConfig(),)
    """Live and copies: rows of ``AUGMENTATIONS``; MAMP rotates by up to 0.3 rad."""
    save: bool = False
    """Closed, of pretrained encoders: keep the probe as a classifier, for ``ssl-skel predict``, and its log-odds of
    test clips, for ``ssl-skel fuse``."""

    @model_validator(mode="after")
    def _something_to_save(self) -> LinearConfig:
        if self.save and self.mode == "live":
            raise ValueError("save: keeps the closed probe; set mode to closed or both")
        return self
