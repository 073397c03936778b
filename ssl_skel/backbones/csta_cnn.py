"""CSTA-CNN: coupled weights of joints and frames in front of a network that finds joints that act together.

Wang, arXiv 1909.10214 (2019), whose text and code could not be had: the attention is its abstract's, the network
is HCN (Li et al., IJCAI 2018) as in huguyuehuhu/HCN-pytorch.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.backbones.base import Backbone, BackboneConfig
from ssl_skel.backbones.layers import HiddenToken
from ssl_skel.backbones.recalibration import CSTA, CSTAConfig, Grid
from ssl_skel.config import RowConfig
from ssl_skel.layouts import SkeletonLayout


class ArchSpec(NamedTuple):
    """A size: channels of a joint's features, how many of them go on, of the four convolutions, and the pools."""

    lift: int
    points: int
    channels: tuple[int, int, int, int]
    pools: tuple[tuple[int, int], ...]


# Saved encoders name their size, so a row here must never change; add another instead.
SIZES: dict[str, ArchSpec] = {
    "tiny": ArchSpec(16, 8, (8, 16, 16, 16), ((2, 2), (2, 2), (1, 1), (1, 1))),
    "small": ArchSpec(64, 32, (32, 64, 128, 256), ((2, 2), (2, 2), (1, 2), (1, 2))),
    "base": ArchSpec(64, 32, (32, 64, 128, 256), ((2, 2), (2, 2), (2, 2), (2, 2))),
}


class CSTACNNConfig(BackboneConfig):
    """Options of ``CSTACNN``."""

    name: Literal["csta_cnn"] = "csta_cnn"
    size: Literal["tiny", "small", "base"] = "base"
    """``base``: HCN's widths, 16 frames in per frame out. ``small``: the same with 4, which a pretext that asks for
    single frames needs. ``tiny``: for tests and demos."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of channels dropped behind the last three convolutions (HCN-pytorch: 0.5). 0, so that a pretext meets
    no noise but its own; give it where the network is trained with labels."""


class Stream(nn.Module):
    """One of HCN's two streams: features of each joint, then of joints together, with CSTA in front.

    HCN, Sec. 3.1: a 1x1 convolution and a 3x1 over time see one joint at a time; then joints become the
    channels, so that every 3x3 convolution sees all joints at once.
    Paper silent: where CSTA stands. On the stream's input, where joints and frames still are what they are called.

    Shape:
        (B, C, T, V) -> (B, channels[1], T / pools, points / pools)
    """

    def __init__(self, grid: Grid, plan: ArchSpec, dropout: float) -> None:
        super().__init__()
        first, second = plan.channels[:2]
        self.csta = CSTA(CSTAConfig(), grid)
        self.joint = nn.Sequential(
            *(nn.Conv2d(grid.channels, plan.lift, 1), nn.ReLU(inplace=True)),
            nn.Conv2d(plan.lift, plan.points, (3, 1), 1, (1, 0)),
        )
        self.together = nn.Sequential(
            *(nn.Conv2d(grid.joints, first, 3, 1, 1), nn.MaxPool2d(plan.pools[0])),
            *(nn.Conv2d(first, second, 3, 1, 1), nn.Dropout2d(dropout), nn.MaxPool2d(plan.pools[1])),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.together(self.joint(self.csta(x)).permute(0, 3, 2, 1))


class CSTACNN(Backbone):
    """CSTA in front of both streams of HCN, coordinates and their changes.

    CSTA-CNN (Wang, arXiv 1909.10214); HCN (Li et al., IJCAI 2018), Sec. 3.2; layers after HCN-pytorch.

    Departs from HCN: no fully connected layer over the flattened grid, which would fix the number of frames: a
    readout averages the grid, and joins persons by their mean rather than their maximum. HCN-pytorch ties
    ``points`` to the window's frames; here it is HCN's 32 at any length.
    Paper silent: masks. A hidden joint is a learned vector at the input; see ``HiddenToken``. The changes are
    those of what remains.

    Args:
        config: a ``CSTACNNConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: T that the weights over frames are made for; at others they are interpolated.
    """

    Config: ClassVar[type[RowConfig]] = CSTACNNConfig
    keeps_joints = False

    def __init__(self, config: RowConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        assert isinstance(config, CSTACNNConfig)
        plan, dropout = SIZES[config.size], config.dropout
        self.dim, self.t_stride = plan.channels[-1], math.prod(pool for pool, _ in plan.pools)
        self.hidden_token = HiddenToken(channels, layout.num_joints)
        joints = Grid(channels, num_frames, layout.num_joints, coordinates=True)
        self.positions, self.changes = (Stream(joints, plan, dropout) for _ in range(2))
        self.layers = nn.ModuleList(
            nn.Sequential(
                *(nn.Conv2d(grid.channels, width, 3, 1, 1), nn.ReLU(inplace=True), nn.Dropout2d(dropout)),
                nn.MaxPool2d(pool),
            )
            for grid, width, pool in zip(self.grids(), plan.channels[2:], plan.pools[2:], strict=True)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        x = self.hidden_token(x, mask)
        out = torch.cat([self.positions(x), self.changes(changes(x))], 1)
        for at, layer in enumerate(self.layers, 1):
            out = layer(self.recalibrated(at, out))
        return out

    def stages(self) -> list[nn.Module]:
        return [nn.ModuleList([self.hidden_token, self.positions, self.changes]), *self.layers]

    def grids(self) -> list[Grid]:
        assert isinstance(self.config, CSTACNNConfig)
        plan, found = SIZES[self.config.size], []
        for at, channels in enumerate((2 * plan.channels[1], plan.channels[2]), 2):
            times, places = (math.prod(pool[axis] for pool in plan.pools[:at]) for axis in (0, 1))
            found.append(Grid(channels, self.num_frames // times, plan.points // places))
        return found


def changes(x: Tensor) -> Tensor:
    """From each frame to the next, stretched to as many as there are frames: (B, C, T, V) -> the same, T > 1.

    HCN, Sec. 3.1: the T - 1 differences are interpolated linearly, so each lies between its two frames.
    """
    steps = x[:, :, 1:] - x[:, :, :-1]
    rows = steps.transpose(2, 3).flatten(1, 2)  # (B, C V, T - 1)
    return functional.interpolate(rows, x.shape[2], mode="linear").unflatten(1, (x.shape[1], -1)).transpose(2, 3)
