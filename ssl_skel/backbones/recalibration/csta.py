"""CSTA: coupled weights of joints and frames."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ssl_skel.backbones.recalibration.config import CSTAConfig
from ssl_skel.backbones.recalibration.excitation import Excitation, Grid


class CSTA(nn.Module):
    """Coupled Spatial-Temporal Attention: one weight per joint, one per frame, and each pair's product.

    Wang, arXiv 1909.10214 (2019): two sub-networks, coupled by their outer product.
    Paper silent: the sub-networks. Each lifts the values by a 1x1 convolution and ReLU, so that the mean says more than
    where the body stands, averages over channels and the other axis, and excites with a sigmoid.
    Paper silent: how the map is applied. To 1 + map, so that nothing is lost and modules may be stacked.

    Shape:
        (B, C, T, V) -> the same
    """

    Config: ClassVar = CSTAConfig

    def __init__(self, config: CSTAConfig, grid: Grid) -> None:
        super().__init__()
        self.lift_joints, self.lift_frames = (
            nn.Sequential(nn.Conv2d(grid.channels, config.hidden, 1), nn.ReLU()) for _ in range(2)
        )
        self.joints = Excitation(grid.joints, config.reduction)
        self.frames = Excitation(grid.frames, config.reduction)

    def forward(self, x: Tensor) -> Tensor:
        joints = self.joints(self.lift_joints(x).mean((1, 2)))  # (B, V)
        frames = self.frames(self.lift_frames(x).mean((1, 3)))  # (B, T)
        return x * (1 + frames[:, None, :, None] * joints[:, None, None, :])
