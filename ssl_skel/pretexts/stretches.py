"""Features of equally long stretches of time, each compared with the same stretch of other views."""

from __future__ import annotations

from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.encoders.pooling import Pooling
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout


class Stretches(nn.Module):
    """The mean of each stretch of a clip, as pooling ``mean:4`` takes it. It has no weights and saves nothing.

    Args:
        dim: D of the features.
        time_bins: stretches.
        layout: of the joints.
    Shape:
        (B, D, Tp, Vp) -> (time_bins, B, D)
    """

    def __init__(self, dim: int, time_bins: int, layout: SkeletonLayout) -> None:
        super().__init__()
        self.pooling = Pooling(PoolingConfig(over="mean", time_bins=time_bins), layout, dim)

    def forward(self, features: Tensor) -> Tensor:
        return self.pooling(features).unflatten(1, (features.shape[1], -1)).movedim(2, 0)


def check_time_bins(time_bins: int, net: Backbone) -> None:
    """Refuse more stretches than a network's features have frames.

    Raises:
        UserError: naming how many there may be.
    """
    steps = net.num_frames // net.t_stride
    if time_bins > steps:
        raise UserError(f"pretext.time_bins: {time_bins}; features have {steps} frames, give at most {steps}")
