"""S-JEPA: predict a teacher's features of the hidden joints, instead of their coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ssl_skel.batch import Batch
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.pretexts.base import Pretext, View
from ssl_skel.pretexts.configs.s_jepa import SJEPAConfig
from ssl_skel.pretexts.decoders import DECODERS
from ssl_skel.pretexts.losses import mean_of_hidden
from ssl_skel.pretexts.masking import MASKS
from ssl_skel.pretexts.masking.draw import cells_with_hidden, wholly_hidden
from ssl_skel.pretexts.teacher import Centre, average_of, cross_entropy, follow, rising


class SJEPA(Pretext[SJEPAConfig]):
    """Joint embedding prediction: features of hidden cells, computed by a running average of the encoder.

    S-JEPA (Abdelfattah & Alahi, ECCV 2024). The encoder sees a view with most units hidden, a predictor gives features
    for the cells with hidden units; the targets are those of the teacher, which sees the view whole. Both become
    distributions over the features, the teacher's centred and sharpened, and the loss is their cross-entropy.

    The paper was not at hand and no code is public; temperatures, momentum and predictor are DINO's and ours.
    Departs from print: the teacher sees the same view, not one without its augmentation; the encoder gets the grid and
    a mask, see ``SkeletonMAE``; features first pass a LayerNorm without weights, since networks here need not end in
    one. Where the network merges joints, a time is predicted if any joint of it is hidden.

    Attributes:
        teacher: the average of the backbone; not trained by gradients.

    Raises:
        UserError: frames that the unit does not divide, or a mask that hides nothing or everything.
    """

    Config: ClassVar = SJEPAConfig

    def __init__(self, config: SJEPAConfig, encoder: SkeletonEncoder, layout: SkeletonLayout) -> None:
        super().__init__(config, encoder, layout)
        net = encoder.backbone
        if net.num_frames % config.unit:
            raise UserError(f"pretext.unit: {net.num_frames} frames are not a multiple of {config.unit}; change one")
        self.mask = MASKS[config.mask.name](config.mask, layout)
        self.mask.check(net.num_frames // config.unit)
        self.predictor = DECODERS[config.predictor](
            net.dim,
            config.predictor_dim,
            config.predictor_depth,
            config.predictor_heads,
            grid=(net.num_frames // net.t_stride, layout.num_joints if net.keeps_joints else 1),
            out=net.dim,
            token=net.keeps_joints,
        )
        self.teacher = average_of(backbone=net)
        self.centre = Centre(net.dim)

    def views(self, batch: Batch) -> list[View]:
        """The first draw of each clip, with most of it hidden.

        Raises:
            ValueError: clips of another length than the encoder was built for.
        """
        self.check_frames(batch)
        return [self._hide(batch, self.mask, self.config.unit)]

    def loss(self, batch: Batch, views: Sequence[View], features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Scalar ``loss``: cross-entropy of the cells with something hidden."""
        (view,), (feature,) = views, features
        assert view.mask is not None
        frames, times = view.x.shape[2], feature.shape[2]
        with torch.no_grad():
            targets = self._cells(self.teacher["backbone"](view.x))
        wanted = self.centre.sharpened(targets, self.config.teacher_temperature)
        hidden = wholly_hidden(view.mask, frames, times) if self.encoder.backbone.keeps_joints else None
        found = self.predictor(feature, hidden)
        counts = cells_with_hidden(view.mask, frames, targets.shape[1:3])
        errors = cross_entropy(found, wanted, self.config.temperature)
        self.centre.update(targets, batch.present)
        return {"loss": mean_of_hidden(errors, counts, batch.present)}

    def after_step(self, progress: float) -> None:
        """Move the teacher."""
        follow(self.teacher, (self.encoder.backbone,), rising(self.config.momentum, progress))

    def _cells(self, features: Tensor) -> Tensor:
        """(B, D, Tp, Vp) -> normed (B, Tp, V, D); (B, Tp, 1, D) where joints are merged."""
        return functional.layer_norm(self.predictor.cells(features).float(), features.shape[1:2])
