"""VICReg: views of a motion agree, and the dimensions of a feature are decorrelated; there are no negatives."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ssl_skel.batch import Batch
from ssl_skel.distributed import gather
from ssl_skel.encoders.encoder import SkeletonEncoder, pool_persons
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.pretexts.base import Pretext, View
from ssl_skel.pretexts.configs.vicreg import VICRegConfig
from ssl_skel.pretexts.decorrelation import check_clips, covariance, expander, variance
from ssl_skel.pretexts.sources import check_sources, draw_views
from ssl_skel.pretexts.stretches import Stretches, check_time_bins


class VICReg(Pretext[VICRegConfig]):
    """Variance, invariance and covariance of two or more views, for each stretch of time.

    VICReg (Bardes, Ponce & LeCun, ICLR 2022), Sec. 4: equations 1 to 6. Multi-grained feature decorrelation on
    skeletons is USDRL's (Wang et al., AAAI 2025), which applies such a loss to clips, frames and joints, with an
    encoder of two branches of its own (DSTE); here it is applied to stretches. UmURL (Sun et al., ACM MM 2023) aligns
    streams with such a loss, each on its own with all of them together, through one network that can take all at once;
    here streams are views, each pair is aligned, and no view holds all. The loss is the mean over stretches, and over
    pairs where there are more than two views.

    As in the released code, distances are means over dimensions and a pair's variances are averaged, its covariances
    added. Departs from print: only persons who are present count, and each clip counts once.

    Raises:
        UserError: views of other channels than the encoder's, more stretches than its features have frames; as it
            trains, a single clip, whose variance is unknown.
    """

    Config: ClassVar = VICRegConfig
    couples_clips = True

    def __init__(self, config: VICRegConfig, encoder: SkeletonEncoder, layout: SkeletonLayout) -> None:
        super().__init__(config, encoder, layout)
        check_sources(config.views, encoder)
        check_time_bins(config.time_bins, encoder.backbone)
        self.num_views = self.num_inputs = len(config.views)
        dim, width = encoder.backbone.dim, config.expander
        self.stretches = Stretches(dim, config.time_bins, layout)
        self.expander = expander(dim, width, width)

    def views(self, batch: Batch) -> list[View]:
        """One draw of each clip for each of the configured streams."""
        return draw_views(self.encoder, batch, self.config.views)

    def loss(self, batch: Batch, views: Sequence[View], features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Scalar ``loss``, and its three parts before they are weighted, of the clips of all ranks."""
        check_clips(batch.present, self.config.name)
        clips = torch.stack([self._expand(feature, batch.present) for feature in features])
        points = gather(clips.transpose(0, 2))[0].transpose(0, 2).float()  # (K, time_bins, N, P)
        apart = [functional.mse_loss(points[a], points[b]) for a, b in combinations(range(len(views)), 2)]
        parts = {
            "invariance": torch.stack(apart).mean(),
            "variance": variance(points).mean(),
            "covariance": 2 * covariance(points).mean(),  # each pair adds those of its two views
        }
        total = sum(getattr(self.config, name) * value for name, value in parts.items())
        assert isinstance(total, Tensor)
        return {"loss": total, **parts}

    def _expand(self, features: Tensor, present: Tensor) -> Tensor:
        """(B, D, Tp, Vp), (N, M) -> (time_bins, N, P)."""
        clips = torch.stack([pool_persons(stretch, present) for stretch in self.stretches(features)])
        return self.expander(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
