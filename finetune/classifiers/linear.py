"""The one classifier: an encoder, trained or frozen, and a linear head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssl_skel.batch import Batch
from ssl_skel.distributed import gather
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.errors import UserError
from ssl_skel.task import Task


class Classifier(Task):
    """Cross-entropy on an encoder's clip features.

    The head is a BatchNorm without scale and shift, then a linear layer: MAMP (Mao et al., ICCV 2023),
    linear probe, after MAE (He et al., CVPR 2022). Where several processes share a batch, each passes its clips through
    the encoder and the whole batch through the head: BatchNorm's statistics, and so the figures, are those of one
    process. (On GPUs the loop turns it into a SyncBatchNorm, which needs no such help.)

    Args:
        encoder: made part of this module.
        num_classes: classes of the store.
        frozen: keep the encoder's weights and running statistics as they are.
        label_smoothing: share of the target that is spread evenly over all classes.
        norm: the BatchNorm; without it the head is the linear layer alone.
    """

    def __init__(
        self,
        encoder: SkeletonEncoder,
        num_classes: int,
        *,
        frozen: bool,
        label_smoothing: float = 0.0,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.frozen, self.label_smoothing = frozen, label_smoothing
        self.encoder = encoder.requires_grad_(not frozen)
        layers = [nn.BatchNorm1d(encoder.dim, eps=1e-6, affine=False)] if norm else []
        self.head = nn.Sequential(*layers, nn.Linear(encoder.dim, num_classes))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Mean cross-entropy over the clips of all processes, and their accuracy; labels must be known."""
        features, label = self._features(batch), batch.label
        if not any(isinstance(layer, nn.SyncBatchNorm) for layer in self.head):
            (features, _), (label, _) = gather(features), gather(label)
        logits = self.head(features)
        right = (logits.argmax(1) == label).float().mean()
        return {"loss": F.cross_entropy(logits, label, label_smoothing=self.label_smoothing), "accuracy": right}

    def logits(self, batch: Batch) -> Tensor:
        """(N, classes), of the batch's first draw; labels are not used."""
        return self.head(self._features(batch))

    def take_videos(self, folder: Path, names: Sequence[str], room: Path) -> None:
        """Use the clips' videos as well, from now on; a batch's ``index`` counts the names.

        Args:
            folder: holds the videos.
            names: of the clips.
            room: where decoded frames may be kept.

        Raises:
            UserError: this classifier looks at joints alone; or a clip has no video that can be decoded.
        """
        raise UserError(f"{folder}: this classifier looks at joints alone; leave the videos out")

    def train(self, mode: bool = True) -> Self:
        """As usual, but a frozen encoder stays in eval mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def _features(self, batch: Batch) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features: Tensor = self.encoder(batch.x[:, 0], batch.present)
        return features
