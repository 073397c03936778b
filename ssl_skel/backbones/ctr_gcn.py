"""CTR-GCN: a graph for every channel, refined from a shared one by the joints' features.

Chen et al., ICCV 2021. Tensors are (B, D, T, V), contiguous: each channel's frames meet its graph in one
small matrix product.
"""

from __future__ import annotations

import math
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ssl_skel.backbones.configs.graph import CTRGCNConfig
from ssl_skel.backbones.layers import MultiScaleTemporal
from ssl_skel.backbones.st_gcn import GraphNet, Layer, residual
from ssl_skel.layouts import SkeletonLayout


def start(layout: SkeletonLayout) -> Tensor:
    """The graphs that training starts from, (3, V, V), row i holding what joint i gathers.

    Released code, graph/tools.py: columns sum to 1. So a parent gathers the sum of its children, and a child its
    parent's share. The root is the joint between the shoulders.
    """
    stack = torch.from_numpy(layout.rooted_at(layout.chest).directions() > 0).float()
    return stack / stack.sum(1, keepdim=True).clamp(min=1)


def _start_weights(layer: nn.Linear | nn.Conv1d | nn.Conv2d, outputs: int) -> None:
    """Released code, model/ctrgcn.py, conv_init: a variance of 2 by the outputs, of every frame of a kernel."""
    nn.init.normal_(layer.weight, std=math.sqrt(2 / outputs))
    nn.init.zeros_(cast(Tensor, layer.bias))


class CTRGC(nn.Module):
    """Channel-wise Topology Refinement Graph Convolution.

    CTR-GCN (Chen et al., ICCV 2021), Sec. 3.3, Eqs. 3-8; model/ctrgcn.py. Three graphs A_k that all channels share,
    learned from ``start``; each clip refines them, channel by channel, by what its joints i and j do:
    out_i = sum over k and j of (A_k + alpha W4_k tanh(W1_k x_i - W2_k x_j))_ij (W3_k x)_j, x in the tanh the mean over
    time. It is taken before W1 and W2 rather than after them, which is the same and cheaper. W1 and W2 are an
    eighth as wide as the input, at least 8.
    Departs from print: alpha starts from 1e-6, not 0, so that W1, W2 and W4 learn from the first step on.

    Args:
        dim_in, dim: channels in and out.
        layout: any skeleton.
    Shape:
        (B, dim_in, T, V) -> (B, dim, T, V)
    """

    def __init__(self, dim_in: int, dim: int, layout: SkeletonLayout) -> None:
        super().__init__()
        low = max(8, dim_in // 8)
        self.graph = nn.Parameter(start(layout))
        self.alpha = nn.Parameter(torch.tensor(1e-6))
        self.ends = nn.Conv1d(dim_in, 6 * low, 1)  # W1 of each graph, then W2 of each
        self.refine = nn.Linear(low, dim * 3)  # W4, a channel's three side by side
        self.project = nn.Linear(dim_in, dim * 3)  # W3, likewise
        for layer, outputs in ((self.ends, low), (self.refine, dim), (self.project, dim)):
            _start_weights(layer, outputs)  # of each graph's part by itself

    def forward(self, x: Tensor) -> Tensor:
        persons, _, frames, joints = x.shape
        at, of = self.ends(x.mean(2)).chunk(2, 1)
        pairs = torch.tanh(at.unsqueeze(2) - of.unsqueeze(3)).flatten(2)  # (B, 3 * low, V * V), j before i
        # W4 as one matrix of blocks: a channel's graphs come out side by side, and the last product sums over them.
        weight, shift = (self.alpha * part.unflatten(0, (-1, 3)) for part in (self.refine.weight, self.refine.bias))
        blocks = weight.unsqueeze(2) * torch.eye(3).to(weight).unsqueeze(2)  # (D, 3, 3, low)
        refined = torch.bmm(blocks.flatten(2).flatten(0, 1).expand(persons, -1, -1), pairs)
        shared = self.graph.mT + shift[..., None, None]  # (D, 3, V, V)
        graphs = (refined.view(persons, *shared.shape) + shared).flatten(2, 3)  # (B, D, 3 * V, V)
        weight, bias = self.project.weight.expand(persons, -1, -1), self.project.bias[:, None]
        values = torch.baddbmm(bias, weight, x.mT.flatten(2)).view(persons, -1, 3 * joints, frames)
        return torch.matmul(values.mT, graphs)


class Space(nn.Module):
    """A graph convolution, BatchNorm, a residual, ReLU.

    CTR-GCN (Chen et al., ICCV 2021), Sec. 3.4, Fig. 3, and InfoGCN. The norm's scale starts from 1e-6, so that a
    fresh layer passes its input on (model/ctrgcn.py).

    Args:
        convolve: (B, dim_in, T, V) -> (B, dim, T, V).
        dim_in, dim: channels in and out.
    Shape:
        (B, dim_in, T, V) -> (B, dim, T, V)
    """

    def __init__(self, convolve: nn.Module, dim_in: int, dim: int) -> None:
        super().__init__()
        self.convolve, self.norm, self.around = convolve, nn.BatchNorm2d(dim), residual(dim_in, dim)
        nn.init.constant_(self.norm.weight, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return (self.norm(self.convolve(x)) + self.around(x)).relu_()


class CTRGCN(GraphNet[CTRGCNConfig]):
    """Channel-wise topology refinement, then several time scales.

    CTR-GCN (Chen et al., ICCV 2021); no residual around the first layer (model/ctrgcn.py). ``base`` has 1.45 M
    parameters with a head of 60 classes and 2.0 G multiply-adds per clip of two persons, 64 frames and 25 joints;
    the paper prints 1.46 M and 1.97 GFLOPs.
    Weights start as in the release: normal, with a variance of 2 by the outputs; biases from zero. Small weights ahead
    of a norm learn faster, so the rate of 0.1 depends on it.
    Departs from print: the first norm does not distinguish first and second person
    (released code: a mean and scale for each person's joints), since persons are computed separately.

    Args:
        config: a ``CTRGCNConfig``.
        layout, channels, num_frames: see ``GraphNet``.
    """

    Config: ClassVar = CTRGCNConfig

    def __init__(self, config: CTRGCNConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        for layer in self.layers.modules():
            if isinstance(layer, nn.Conv2d):
                _start_weights(layer, layer.weight[:, 0].numel())

    def layer(self, dim_in: int, dim: int, stride: int, *, first: bool) -> Layer:
        space = Space(CTRGC(dim_in, dim, self.layout), dim_in, dim)
        time = MultiScaleTemporal(dim, dim, stride)
        return Layer(space, time, None if first else residual(dim_in, dim, stride))
