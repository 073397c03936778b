"""TCN: each frame is one vector, and dilated convolutions look along time.

Bai, Kolter and Koltun, arXiv 1803.01271 (2018); Kim and Reiter, CVPR Workshops 2017, on skeletons.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.tcn import SIZES, TCNConfig
from ssl_skel.backbones.layers import HiddenToken
from ssl_skel.layouts import SkeletonLayout

KERNEL = 3
"""Frames that a convolution joins."""


class TemporalBlock(nn.Module):
    """Two dilated convolutions over time beside the identity.

    Bai et al., arXiv 1803.01271, Sec. 3.4. Departs from print: not causal, since a whole clip is at hand: a frame sees
    as far ahead as back; BatchNorm for weight norm; no dropout; the second ReLU follows the sum alone.

    Args:
        width: channels in and out.
        dilation: frames between the taps of both convolutions.
    Shape:
        (B, width, T) -> the same
    """

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()

        def look() -> list[nn.Module]:
            reach = dilation * (KERNEL - 1) // 2
            return [
                nn.Conv1d(width, width, KERNEL, padding=reach, dilation=dilation, bias=False),
                nn.BatchNorm1d(width),
            ]

        self.convs = nn.Sequential(*look(), nn.ReLU(), *look())

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.convs(x))


class TCN(Backbone[TCNConfig]):
    """A temporal convolutional network on frames as vectors: for a CPU and a minute.

    Bai et al., arXiv 1803.01271, Sec. 3; all coordinates of a frame as one vector as in Kim and Reiter, CVPR Workshops
    2017. The vectors pass a BatchNorm and a linear layer, then one ``TemporalBlock`` per dilation. It knows nothing
    about the skeleton, and time keeps its resolution.

    Paper silent: masks. A hidden joint is a learned vector at the input; see ``HiddenToken``.

    Args:
        config: a ``TCNConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: T; others are taken too.
    """

    Config: ClassVar = TCNConfig
    keeps_joints = False
    t_stride = 1

    def __init__(self, config: TCNConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        self.dim, dilations = SIZES[config.size]
        self.hidden_token = HiddenToken(channels, layout.num_joints)
        values = channels * layout.num_joints
        self.enter = nn.Sequential(nn.BatchNorm1d(values), nn.Conv1d(values, self.dim, 1))
        self.blocks = nn.ModuleList(TemporalBlock(self.dim, dilation) for dilation in dilations)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        x = self.hidden_token(x, mask)
        out = self.enter(x.transpose(2, 3).flatten(1, 2))  # (B, C V, T)
        for block in self.blocks:
            out = block(out)
        return out[..., None]

    def stages(self) -> list[nn.Module]:
        return [nn.ModuleList([self.hidden_token, self.enter]), *self.blocks]
