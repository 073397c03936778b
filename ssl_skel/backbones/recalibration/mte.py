"""MTE: weight channels at each frame, then convolve at several time scales."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.backbones.layers import Norm
from ssl_skel.backbones.recalibration.config import MTEConfig
from ssl_skel.backbones.recalibration.excitation import Grid


class MTE(nn.Module):
    """Multi-scale Temporal Excitation: weight channels at each frame, then convolve at several time scales.

    MPAE-Net (Zhang, Zhan & Wang, ACML 2024), Sec. 3.3, Eqs. 8-11. Branches: 5x1 convolution, the same with
    dilation 2, 3x1 max-pool.
    Departs from print: sigmoid gate, as the text and Fig. 3 say; Eq. 10 shows softmax.
    Paper silent: kernels of F1 and F2: 1x1. Widths of the branches: a quarter, a quarter and half of
    the channels (the pooled one after a 1x1 convolution), which meets the printed size; a norm after all.

    Args:
        dim: channels, in and out.
        reduction: squeeze ratio alpha of Eq. 9 (paper: 8, Table 1).
        norm: ``batch`` or ``layer``, see ``Norm``.
    Shape:
        (B, T, V, D) -> the same
    """

    def __init__(self, dim: int, reduction: int, norm: str) -> None:
        super().__init__()
        low, quarter = max(1, dim // reduction), dim // 4
        self.squeeze = nn.Sequential(nn.Linear(dim, low, bias=False), Norm(low, norm), nn.ReLU(), nn.Linear(low, dim))
        self.near = nn.Conv2d(dim, quarter, (5, 1), padding=(2, 0), bias=False)
        self.far = nn.Conv2d(dim, quarter, (5, 1), padding=(4, 0), dilation=(2, 1), bias=False)
        self.reduce = nn.Linear(dim, dim - 2 * quarter, bias=False)
        self.peak = nn.MaxPool2d((3, 1), 1, (1, 0))
        self.norm = Norm(dim, norm)

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.squeeze(x.mean(2, keepdim=True)).sigmoid()
        image = x.permute(0, 3, 1, 2)
        scales = torch.cat([self.near(image), self.far(image), self.peak(self.reduce(x).permute(0, 3, 1, 2))], 1)
        return self.norm(scales.permute(0, 2, 3, 1))


class MTEBranch(nn.Module):
    """MTE as a module of its own: in a residual branch, between two 1x1 convolutions.

    Paper silent: MTE outside MPAE-Net. The convolutions, because three coordinates make no quarters; the
    residual, as around MTE in its own network.

    Shape:
        (B, C, T, V) -> the same
    """

    Config: ClassVar = MTEConfig

    def __init__(self, config: MTEConfig, grid: Grid) -> None:
        super().__init__()
        self.enter = nn.Linear(grid.channels, config.dim)
        self.mte = MTE(config.dim, config.reduction, config.norm)
        self.leave = nn.Linear(config.dim, grid.channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.leave(self.mte(self.enter(x.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)
