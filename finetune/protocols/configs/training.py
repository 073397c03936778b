"""Options of all protocols that train an encoder on labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from finetune.protocols.configs.base import ProtocolConfig
from ssl_skel.config import EntryConfig, EntryOf
from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.data.augment.config import RotateConfig
from ssl_skel.data.crop import Crop, Sampling
from ssl_skel.training.config import OptimConfig


class TrainingConfig(ProtocolConfig):
    """How a classifier is trained. Defaults: MAMP's fine-tuning (Mao et al., ICCV 2023), for transformers.

    Departs from print: MAMP's dropout before the head (0.3) and its hidden layer in the head are left out; the head is
    the linear probe's.
    """

    former: ClassVar[Mapping[str, str]] = {"heldout": "validation_share"}
    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {"select": {"heldout": "validation"}}

    optim: OptimConfig = OptimConfig(lr=3e-4, min_lr=1e-5, weight_decay=0.05, warmup_epochs=5)
    """MAMP: AdamW, 3e-4 to 1e-5, five epochs of warm-up. A config that sets it sets all of it."""
    epochs: int = Field(100, ge=1)
    """MAMP: 100."""
    batch_size: int = Field(48, ge=2)
    """Clips per step over all ranks. MAMP: 24 on each of 2 GPUs."""
    min_clips: int = Field(0, ge=0)
    """Labelled clips are repeated within an epoch until this many were seen, so that few labels get enough steps; 0:
    once. (PYSKL's RepeatDataset, ten times or five, for all.)"""
    sampling: Sampling = "crop"
    """Which frames of a training clip are taken: a crop, resampled; or sorted, as many frames drawn at random from the
    whole clip, in order (CTR-GCN on NW-UCLA), ignoring ``crop``. Test clips are always whole."""
    crop: Crop = (0.5, 1.0)
    """Smallest and largest share of a training clip that is cropped."""
    augment: tuple[Annotated[EntryConfig, EntryOf(AUGMENTATIONS)], ...] = (RotateConfig(),)
    """Entries of ``AUGMENTATIONS``; MAMP rotates by up to 0.3 rad."""
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """MAMP: 0.1."""
    layer_decay: float = Field(0.8, gt=0, le=1)
    """Learning rate of a stage relative to the next one; of pretrained encoders only, fresh weights have 1 (MAMP)."""
    drop_path: float | None = Field(None, ge=0, lt=1)
    """Chance that a training step skips a deep block, in networks that support it (MAMP: 0.3 on a transformer that was
    pretrained without); None: the network's own default."""
    eval_every: int = Field(5, ge=0)
    """Epochs between evaluations on the test clips, which ``best_on_test`` is the best of; 0: the last epoch only."""
    select: Literal["last", "validation"] = "last"
    """Which epoch is reported: the last, or, of those evaluated, the first that is best on validation subjects."""
    validation_share: float = Field(0.2, gt=0, lt=1)
    """Share of the training subjects held out for ``select: validation``; they are not trained on."""
    save: bool = False
    """Keep each trained classifier, for ``ssl-skel predict`` or as an encoder to continue from."""

    @model_validator(mode="after")
    def _something_to_choose_from(self) -> TrainingConfig:
        if self.select == "validation" and not self.eval_every:
            raise ValueError("select: validation chooses among the epochs evaluated; set eval_every to 1 or more")
        return self
