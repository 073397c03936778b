"""ST-GCN: convolution along bones, then along time; and the frame that its descendants share.

Yan, Xiong & Lin, AAAI 2018. CTR-GCN and InfoGCN, in files of their own, keep the order of things and
change what a layer does in space and in time. Tensors are (B, D, T, V), channels last in memory.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.graph import GraphNetConfig, STGCNConfig
from ssl_skel.backbones.layers import HiddenToken
from ssl_skel.layouts import SkeletonLayout


class Stem(nn.Module):
    """Stand-ins for hidden joints, then a BatchNorm with a mean, scale and shift of its own for each joint and channel.

    ST-GCN (Yan et al., AAAI 2018), Sec. 3.6, and its descendants. Paper silent: masks; see ``HiddenToken``.

    Args:
        channels: C.
        joints: V.
        lift: channels that a linear layer makes of them before the norm (InfoGCN); None: no such layer.
    Shape:
        x (B, C, T, V), mask (B, T / u, V) bool or None -> (B, lift or C, T, V)
    """

    def __init__(self, channels: int, joints: int, lift: int | None = None) -> None:
        super().__init__()
        self.hidden_token = HiddenToken(channels, joints)
        self.lift = nn.Identity() if lift is None else nn.Linear(channels, lift)
        self.norm = nn.BatchNorm1d((lift or channels) * joints)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.lift(self.hidden_token(x, mask).permute(0, 2, 3, 1))  # (B, T, V, D)
        return self.norm(x.flatten(2).flatten(0, 1)).view(x.shape).permute(0, 3, 1, 2)


class Layer(nn.Module):
    """Space, then time, a residual around both, ReLU.

    ST-GCN (Yan et al., AAAI 2018), Sec. 3.6 and net/st_gcn.py; its descendants likewise.

    Args:
        space: (B, dim_in, T, V) -> (B, dim, T, V).
        time: (B, dim, T, V) -> (B, dim, T / stride, V).
        around: of the residual, see ``residual``; None: there is none.
    Shape:
        (B, dim_in, T, V) -> (B, dim, T / stride, V)
    """

    def __init__(self, space: nn.Module, time: nn.Module, around: nn.Module | None) -> None:
        super().__init__()
        self.space, self.time, self.around = space, time, around

    def forward(self, x: Tensor) -> Tensor:
        out = self.time(self.space(x))
        return (out if self.around is None else out + self.around(x)).relu_()


def residual(dim_in: int, dim: int, stride: int = 1) -> nn.Module:
    """What a residual adds: the input, or where shapes differ its 1x1 convolution and BatchNorm."""
    if dim_in == dim and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(dim_in, dim, 1, (stride, 1)), nn.BatchNorm2d(dim))


ConfigT = TypeVar("ConfigT", bound=GraphNetConfig, covariant=True, default=GraphNetConfig)


class GraphNet(Backbone[ConfigT]):
    """``Stem``, then the layers of a ``ArchSpec``.

    Attributes:
        lifts: the stem makes as many channels from the coordinates as the first layer outputs.

    Args:
        config: a ``GraphNetConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: frames of a clip; the network itself takes any multiple of ``t_stride``.
    """

    lifts: ClassVar[bool] = False

    def __init__(self, config: ConfigT, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        widths, strides = config.arch
        self.dim, self.t_stride = widths[-1], math.prod(strides)
        self.stem = Stem(channels, layout.num_joints, widths[0] if self.lifts else None)
        entering = (widths[0] if self.lifts else channels, *widths[:-1])
        self.layers = nn.ModuleList(
            self.layer(dim_in, dim, stride, first=at == 0)
            for at, (dim_in, dim, stride) in enumerate(zip(entering, widths, strides, strict=True))
        )

    @abstractmethod
    def layer(self, dim_in: int, dim: int, stride: int, *, first: bool) -> nn.Module:
        """The next layer, (B, dim_in, T, V) -> (B, dim, T / stride, V)."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        x = self.stem(x, mask)
        for layer in self.layers:
            x = layer(x)
        return x

    def stages(self) -> list[nn.Module]:
        return [self.stem, *self.layers]


def _subsets(layout: SkeletonLayout, partition: str) -> np.ndarray:
    """(3, V, V) bool: row j marks joint j, its neighbours farther from the root, those nearer."""
    if partition == "layout":
        return layout.directions() > 0
    itself, farther, nearer = layout.rooted_at(layout.chest).directions() > 0
    known = layout.adjacency()[layout.chest] > 0
    beyond = nearer & ~known & ~known[:, None]
    return np.stack([itself, farther | beyond, nearer & ~beyond])


class SpatialConv(nn.Module):
    """Convolution over a joint's neighbours: weights of their own for the joint, those nearer the root, those farther.

    ST-GCN (Yan et al., AAAI 2018), Eq. 10, with spatial configuration partitioning (Sec. 3.4) and learned
    edge importance (Sec. 3.5): out = sum over subsets k of (A_k * M_k) (x W_k), * entry by entry.
    Departs from print: A_k is normalised as in the released code, net/utils/graph.py: all neighbours of a joint,
    including itself, have the same weight, 1 in total.

    Args:
        dim_in, dim: channels in and out.
        layout: any skeleton.
        partition: see ``STGCNConfig``.
    Shape:
        (B, dim_in, T, V) -> (B, dim, T, V)
    """

    def __init__(self, dim_in: int, dim: int, layout: SkeletonLayout, partition: str = "layout") -> None:
        super().__init__()
        joined = torch.from_numpy(_subsets(layout, partition)).float()
        self.project = nn.Linear(dim_in, 3 * dim)
        self.graph: Tensor  # (3, V, V), row j holds what joint j gathers from
        self.register_buffer("graph", joined / joined.sum((0, 2))[:, None], persistent=False)
        self.importance = nn.Parameter(torch.ones_like(joined))

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(x.permute(0, 2, 3, 1)).unflatten(3, (3, -1)).flatten(2, 3)  # (B, T, V * 3, D)
        edges = (self.graph * self.importance).permute(1, 2, 0).flatten(1)  # (V, V * 3)
        return torch.matmul(edges, y).permute(0, 3, 1, 2)


class STGCN(GraphNet[STGCNConfig]):
    """Spatial-temporal graph convolution.

    ST-GCN (Yan et al., AAAI 2018). ``base`` has the 3.1 M parameters that later papers print for it, and 17.1 G
    multiply-adds (two persons, 300 frames, 25 joints) by our count, 5 % more than their 16.3 G.
    Departs from print: ten layers, the first without a residual, as in the released code, net/st_gcn.py (paper:
    nine); no dropout (paper: 0.5), since it would make the views that pretexts compare differ.

    Args:
        config: a ``STGCNConfig``.
        layout, channels, num_frames: see ``GraphNet``.
    """

    Config: ClassVar = STGCNConfig

    def layer(self, dim_in: int, dim: int, stride: int, *, first: bool) -> Layer:
        kernel = self.config.kernel
        time = nn.Sequential(
            *(nn.BatchNorm2d(dim), nn.ReLU(inplace=True)),
            *(nn.Conv2d(dim, dim, (kernel, 1), (stride, 1), (kernel // 2, 0)), nn.BatchNorm2d(dim)),
        )
        space = SpatialConv(dim_in, dim, self.layout, self.config.partition)
        return Layer(space, time, None if first else residual(dim_in, dim, stride))
