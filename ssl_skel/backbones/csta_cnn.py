"""CSTA-CNN: coupled weights of joints and frames in front of a network that finds joints that act together.

Wang, arXiv 1909.10214 (2019), whose text and code were not available: the attention follows its abstract, the network
is HCN (Li et al., IJCAI 2018) as in huguyuehuhu/HCN-pytorch.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.csta_cnn import SIZES, ArchSpec, CSTACNNConfig
from ssl_skel.backbones.layers import HiddenToken
from ssl_skel.backbones.recalibration.config import CSTAConfig
from ssl_skel.backbones.recalibration.csta import CSTA
from ssl_skel.backbones.recalibration.excitation import Grid
from ssl_skel.layouts import SkeletonLayout


class Stream(nn.Module):
    """One of HCN's two streams: features of each joint, then of joints together, with CSTA in front.

    HCN, Sec. 3.1: a 1x1 convolution and a 3x1 over time see one joint at a time; then joints become the
    channels, so that every 3x3 convolution sees all joints at once.
    Paper silent: where CSTA is placed. On the stream's input, where joints and frames are still joints and frames.

    Shape:
        (B, C, T, V) -> (B, channels[1], T / pools, points / pools)
    """

    def __init__(self, grid: Grid, arch: ArchSpec, dropout: float) -> None:
        super().__init__()
        first, second = arch.channels[:2]
        self.csta = CSTA(CSTAConfig(), grid)
        self.joint = nn.Sequential(
            *(nn.Conv2d(grid.channels, arch.lift, 1), nn.ReLU(inplace=True)),
            nn.Conv2d(arch.lift, arch.points, (3, 1), 1, (1, 0)),
        )
        self.together = nn.Sequential(
            *(nn.Conv2d(grid.joints, first, 3, 1, 1), nn.MaxPool2d(arch.pools[0])),
            *(nn.Conv2d(first, second, 3, 1, 1), nn.Dropout2d(dropout), nn.MaxPool2d(arch.pools[1])),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.together(self.joint(self.csta(x)).permute(0, 3, 2, 1))


class CSTACNN(Backbone[CSTACNNConfig]):
    """CSTA in front of both streams of HCN, coordinates and their changes.

    CSTA-CNN (Wang, arXiv 1909.10214); HCN (Li et al., IJCAI 2018), Sec. 3.2; layers after HCN-pytorch.

    Departs from HCN: no fully connected layer over the flattened grid, which would fix the number of frames: the
    pooling averages the grid, and joins persons by their mean rather than their maximum. HCN-pytorch ties
    ``points`` to the window's frames; here it is HCN's 32 at any length.
    Paper silent: masks. A hidden joint is a learned vector at the input; see ``HiddenToken``. The changes are
    those of what remains.

    Args:
        config: a ``CSTACNNConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: T that the weights over frames are made for; at others they are interpolated.
    """

    Config: ClassVar = CSTACNNConfig
    keeps_joints = False

    def __init__(self, config: CSTACNNConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        arch, dropout = SIZES[config.size], config.dropout
        self.dim, self.t_stride = arch.channels[-1], math.prod(pool for pool, _ in arch.pools)
        self.hidden_token = HiddenToken(channels, layout.num_joints)
        joints = Grid(channels, num_frames, layout.num_joints)
        self.positions, self.changes = (Stream(joints, arch, dropout) for _ in range(2))
        _, second, third, fourth = arch.channels
        self.layers = nn.ModuleList(
            nn.Sequential(
                *(nn.Conv2d(dim_in, width, 3, 1, 1), nn.ReLU(inplace=True), nn.Dropout2d(dropout)),
                nn.MaxPool2d(pool),
            )
            for dim_in, width, pool in zip((2 * second, third), (third, fourth), arch.pools[2:], strict=True)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        x = self.hidden_token(x, mask)
        out = torch.cat([self.positions(x), self.changes(changes(x))], 1)
        for layer in self.layers:
            out = layer(out)
        return out

    def stages(self) -> list[nn.Module]:
        return [nn.ModuleList([self.hidden_token, self.positions, self.changes]), *self.layers]


def changes(x: Tensor) -> Tensor:
    """From each frame to the next, stretched to as many as there are frames: (B, C, T, V) -> the same, T > 1.

    HCN, Sec. 3.1: the T - 1 differences are interpolated linearly, so each lies between its two frames.
    """
    steps = x[:, :, 1:] - x[:, :, :-1]
    rows = steps.transpose(2, 3).flatten(1, 2)  # (B, C V, T - 1)
    return functional.interpolate(rows, x.shape[2], mode="linear").unflatten(1, (x.shape[1], -1)).transpose(2, 3)
