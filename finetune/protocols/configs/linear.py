"""Options of linear probes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from finetune.protocols.configs.base import ProtocolConfig
from ssl_skel.config import EntryConfig, EntryOf
from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.data.augment.config import RotateConfig
from ssl_skel.data.crop import Crop


class LinearConfig(ProtocolConfig):
    """Options of ``Linear``. Those of the trained probe are MAMP's (Mao et al., ICCV 2023)."""

    former: ClassVar[Mapping[str, str]] = {"copies": "augmented_views"}
    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {"mode": {"closed": "cached", "live": "trained"}}

    name: Literal["linear"] = "linear"
    mode: Literal["cached", "trained", "both"] = "cached"
    """cached: logistic regression on cached features; takes seconds. trained: BatchNorm + linear layer trained with
    augmentation through the frozen encoder, as papers do; takes as long as the forward passes of a training."""
    c: float | None = Field(None, gt=0)
    """Cached: inverse L2 strength; null chooses it on held-out training subjects."""
    augmented_views: int = Field(0, ge=0)
    """Cached: augmented views of each training clip that are embedded and fitted with it, the counterpart of the
    trained probe's augmentation; raw coordinates get theirs too."""
    epochs: int = Field(100, ge=1)
    """Trained: the last one is reported."""
    batch_size: int = Field(128, ge=2)
    """Trained: clips per step. MAMP: 128 on each of 2 GPUs. Augmented views are drawn in such batches too."""
    lr: float = Field(0.1, gt=0)
    """Trained: SGD, cosine to 0, no warm-up."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Trained: of SGD."""
    crop: Crop = (0.5, 1.0)
    """Trained, and augmented views: smallest and largest share of a training clip that is cropped."""
    augment: tuple[Annotated[EntryConfig, EntryOf(AUGMENTATIONS)], ...] = (RotateConfig(),)
    """Trained, and augmented views: entries of ``AUGMENTATIONS``; MAMP rotates by up to 0.3 rad."""
    save: bool = False
    """Cached, of pretrained encoders: keep the probe as a classifier, for ``ssl-skel predict``, and its log-odds of
    test clips, for ``ssl-skel fuse``."""

    @model_validator(mode="after")
    def _something_to_save(self) -> LinearConfig:
        if self.save and self.mode == "trained":
            raise ValueError("save: keeps the cached probe; set mode to cached or both")
        return self
