"""GFP: predict a few features of the motion, from single stretches of it to the whole, instead of every coordinate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.batch import Batch
from ssl_skel.distributed import gather
from ssl_skel.encoders.encoder import SkeletonEncoder, pool_persons
from ssl_skel.encoders.streams import motion, on_coordinates
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.pretexts.base import Pretext, View
from ssl_skel.pretexts.configs.gfp import GFPConfig
from ssl_skel.pretexts.decoders import JointDecoder
from ssl_skel.pretexts.decorrelation import check_clips, covariance, expander, variance
from ssl_skel.pretexts.losses import to_patches
from ssl_skel.pretexts.masking import MASKS
from ssl_skel.pretexts.masking.draw import wholly_hidden


class Targets(nn.Module):
    """The target generation network: features of the motion of each stretch and joint, and of the whole clip.

    Shape:
        motion (B, C, T, V) -> (B, n, V, P) for each number n of stretches, then (B, 1, 1, P)
    """

    def __init__(self, config: GFPConfig, channels: int, frames: int, joints: int) -> None:
        super().__init__()
        self.lengths = [frames // count for count in config.stretches]
        out, hidden = config.target_dim, config.target_hidden
        self.local = nn.ModuleList(expander(length * channels, hidden, out) for length in self.lengths)
        self.whole = expander(frames * joints * channels, config.global_hidden, out)

    def forward(self, moved: Tensor) -> list[Tensor]:
        found = []
        for length, network in zip(self.lengths, self.local, strict=True):
            patches = to_patches(moved, length)
            found.append(network(patches.flatten(0, 2)).unflatten(0, patches.shape[:3]))
        return [*found, self.whole(moved.flatten(1))[:, None, None]]


class Pyramid(nn.Module):
    """A decoder whose levels each take the mean of the level below over longer stretches.

    What is hidden enters as a learned token, as in MAE; a level is a ``JointDecoder``, and a linear layer reads it.

    Shape:
        features (B, D, Tp, Vp), hidden (B, Tp, V) bool -> as ``Targets``
    """

    def __init__(self, config: GFPConfig, net: Backbone, joints: int) -> None:
        super().__init__()
        width, depth, heads, dim = config.decoder_dim, config.decoder_depth, config.decoder_heads, net.dim
        self.token: nn.Parameter | None = None  # where the network merges joints, no cell is hidden
        if net.keeps_joints:
            self.token = nn.Parameter(nn.init.trunc_normal_(torch.empty(dim, 1, 1), std=0.02))
        self.levels = nn.ModuleList(
            JointDecoder(dim if at == 0 else width, width, depth, heads, (count, joints), width, token=False)
            for at, count in enumerate(config.stretches)
        )
        self.heads = nn.ModuleList(nn.Linear(width, config.target_dim) for _ in (*config.stretches, "whole"))
        self.counts = config.stretches

    def forward(self, features: Tensor, hidden: Tensor) -> list[Tensor]:
        x, found = features, []
        if self.token is not None:
            x = torch.where(hidden[:, None], self.token.to(x.dtype), x)
        for count, level in zip(self.counts, self.levels, strict=True):
            x = level(x.unflatten(2, (count, -1)).mean(3)).permute(0, 3, 1, 2)
            found.append(x.permute(0, 2, 3, 1))
        found.append(x.mean((2, 3))[:, None, None])
        return [head(level) for head, level in zip(self.heads, found, strict=True)]


class GFP(Pretext[GFPConfig]):
    """General feature prediction: targets at several spans of time, computed by a small network trained with the
    encoder.

    GFP (Sun et al., ICCV 2025, arXiv 2509.03609). Most units of the view are hidden; a pyramid of decoders predicts
    features of the motion of each stretch and joint, and of the clip. The targets come from MLPs on frame differences
    of the same view, nothing hidden; gradients flow into both sides, and the variance and covariance of VICReg on the
    targets keep them from collapsing. Loss: ``prediction`` * error + sum over levels (``covariance`` * covariance +
    ``variance`` * variance).

    The equations are those of a published summary; the paper was not at hand and no code is public. Unknown to us, and
    chosen here: BatchNorm in the MLPs as in VICReg, what a stretch's MLP reads (all differences within it, frame by
    frame), the error (mean over the targets and their features), the rows of variance and covariance (each clip at each
    stretch and joint). Departs from print: the encoder gets the grid and a mask, see ``SkeletonMAE``; each clip counts
    once, with the mean target of the persons present.

    Raises:
        UserError: frames that unit or stretches do not divide; as it trains, a single clip, whose variance is unknown.
    """

    Config: ClassVar = GFPConfig
    couples_clips = True

    def __init__(self, config: GFPConfig, encoder: SkeletonEncoder, layout: SkeletonLayout) -> None:
        super().__init__(config, encoder, layout)
        net = encoder.backbone
        steps = net.num_frames // net.t_stride
        if net.num_frames % config.unit:
            raise UserError(f"pretext.unit: {net.num_frames} frames are not a multiple of {config.unit}; change one")
        if steps % config.stretches[0]:
            raise UserError(
                f"pretext.stretches: {config.stretches[0]} does not divide the features' {steps} frames; change it"
            )
        self.mask = MASKS[config.mask.name](config.mask, layout)
        self.mask.check(net.num_frames // config.unit)
        self.decoder = Pyramid(config, net, layout.num_joints)
        self.targets = Targets(config, net.channels, net.num_frames, layout.num_joints)

    def views(self, batch: Batch) -> list[View]:
        """The first draw of each clip, with most of it hidden.

        Raises:
            ValueError: clips of another length than the encoder was built for.
        """
        self.check_frames(batch)
        return [self._hide(batch, self.mask, self.config.unit)]

    def loss(self, batch: Batch, views: Sequence[View], features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Scalar ``loss``, and its three parts before they are weighted."""
        check_clips(batch.present, self.config.name)
        (view,), (feature,) = views, features
        assert view.mask is not None
        predictions = self.decoder(feature, wholly_hidden(view.mask, view.x.shape[2], feature.shape[2]))
        targets = self.targets(on_coordinates(view.x, self.layout, motion))
        errors = [
            (found - target).square().mean(3).flatten(1) for found, target in zip(predictions, targets, strict=True)
        ]
        points = [gather(pool_persons(target, batch.present))[0].flatten(0, 2).float() for target in targets]
        parts = {
            "prediction": pool_persons(torch.cat(errors, 1).mean(1), batch.present).mean(),
            "covariance": torch.stack([covariance(level) for level in points]).sum(),
            "variance": torch.stack([variance(level) for level in points]).sum(),
        }
        total = sum(getattr(self.config, name) * value for name, value in parts.items())
        assert isinstance(total, Tensor)
        return {"loss": total, **parts}
