"""InfoGCN: attention between joints over a learned graph, then several time scales.

Chi et al., CVPR 2022. Its relative positions are the streams ``hop1`` and ``hop2``; its objective is the head
``bottleneck`` of a classifier. Tensors are (B, D, T, V), channels last in memory.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.backbones.configs.graph import InfoGCNConfig
from ssl_skel.backbones.ctr_gcn import Space
from ssl_skel.backbones.layers import MultiScaleTemporal
from ssl_skel.backbones.st_gcn import GraphNet, Layer, residual
from ssl_skel.layouts import SkeletonLayout


class SAGC(nn.Module):
    """Self-attention Graph Convolution: who attends to whom in a frame, times a graph that all frames share.

    InfoGCN (Chi et al., CVPR 2022), Sec. 3.3, model/modules.py: out = sum over heads h of
    (softmax(q_h k_h^T / sqrt(d)) * S_h) x W_h, * entry by entry, S_h learned from the identity; q and k of the
    layer-normed input, d an eighth of its channels (at least 1).
    Departs from print: weights of q and k start as torch's linear layers do; the released code draws them from
    N(0, 1), which saturates the softmax: attention begins as a choice of one joint, almost without a gradient, and
    what little there is underflows to numbers that more than halve the speed on a CPU.

    Args:
        dim_in, dim: channels in and out.
        heads: H.
        layout: any skeleton.
    Shape:
        (B, dim_in, T, V) -> (B, dim, T, V)
    """

    def __init__(self, dim_in: int, dim: int, heads: int, layout: SkeletonLayout) -> None:
        super().__init__()
        self.heads, width = heads, max(1, dim_in // 8)
        self.norm = nn.LayerNorm(dim_in)
        self.query_key = nn.Linear(dim_in, 2 * heads * width)
        self.topology = nn.Parameter(torch.eye(layout.num_joints).repeat(heads, 1, 1))
        self.project = nn.Linear(dim_in, heads * dim, bias=False)  # the following norm would subtract a bias

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)  # (B, T, V, D)
        query, key = self.query_key(self.norm(x)).unflatten(3, (2, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        share = torch.matmul(query / math.sqrt(query.shape[-1]), key.mT).softmax(-1)  # (B, T, H, V, V)
        edges = (share * self.topology).permute(0, 1, 3, 4, 2).flatten(3)  # (B, T, V, V * H)
        values = self.project(x).unflatten(3, (self.heads, -1)).flatten(2, 3)  # (B, T, V * H, D)
        return torch.matmul(edges, values).permute(0, 3, 1, 2)


class InfoGCN(GraphNet[InfoGCNConfig]):
    """Attention over learned graphs, after a lift of the coordinates to features.

    InfoGCN (Chi et al., CVPR 2022), model/infogcn.py: nine layers, a residual around each. ``base`` has 1.55 M
    parameters with the head ``bottleneck`` of 60 classes (released code: 1.56 M) and 1.8 G multiply-adds per clip of
    two persons, 64 frames and 25 joints.
    Departs from print: no learned vector per joint is added to the lifted coordinates: the following norm subtracts the
    mean of each joint and channel, and that vector with it, and has its own shift for each. The first norm does not
    distinguish first and second person, as in ``CTRGCN``. Weights start as torch's layers do.

    Args:
        config: an ``InfoGCNConfig``.
        layout, channels, num_frames: see ``GraphNet``.
    """

    Config: ClassVar = InfoGCNConfig

    lifts = True

    def layer(self, dim_in: int, dim: int, stride: int, *, first: bool) -> Layer:
        space = Space(SAGC(dim_in, dim, self.config.heads, self.layout), dim_in, dim)
        time = nn.Sequential(MultiScaleTemporal(dim, dim, stride), nn.ReLU(inplace=True))
        return Layer(space, time, residual(dim_in, dim, stride))
