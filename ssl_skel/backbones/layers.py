"""Layers that several networks share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Norm(nn.Module):
    """BatchNorm or LayerNorm over the channels of (B, T, V, D)."""

    def __init__(self, dim: int, kind: str) -> None:
        super().__init__()
        self.norm: nn.Module = nn.BatchNorm2d(dim) if kind == "batch" else nn.LayerNorm(dim)
        self.channels_first = kind == "batch"

    def forward(self, x: Tensor) -> Tensor:
        if self.channels_first:
            return self.norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # stays channels-last in memory
        return self.norm(x)


def hidden_frames(mask: Tensor, frames: int) -> Tensor:
    """Hidden joints, frame by frame: (B, T / u, V) -> (B, T, V), T = ``frames``."""
    return mask.repeat_interleave(frames // mask.shape[1], 1)


class HiddenToken(nn.Module):
    """Put a learned vector in place of every hidden joint, before a network without masks.

    Hidden values then cannot reach the network, whatever it does; its grid and its norms need no care. One vector per
    joint, so that a missing joint can look like that joint.

    Args:
        channels: C.
        joints: V.
    Shape:
        x (B, C, T, V), mask (B, T / u, V) bool or None -> (B, C, T, V)
    """

    def __init__(self, channels: int, joints: int) -> None:
        super().__init__()
        self.token = nn.Parameter(nn.init.trunc_normal_(torch.empty(channels, 1, joints), std=0.02))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return x
        hidden = hidden_frames(mask, x.shape[2])
        return torch.where(hidden.unsqueeze(1), self.token.to(x.dtype), x)


def temporal_scales(dim_in: int, width: int, stride: int, kernel: int, dilations: Sequence[int]) -> list[nn.Module]:
    """Branches that look along time at several scales: a dilated convolution each, then a 3-frame max-pool.

    CTR-GCN (Chen et al., ICCV 2021), model/ctrgcn.py, after MS-G3D (Liu et al., CVPR 2020). Each is
    (B, dim_in, T, V) -> (B, width, T / stride, V) and enters through a 1x1 convolution, BatchNorm and ReLU.
    """
    steps: list[nn.Module] = [
        nn.Conv2d(width, width, (kernel, 1), (stride, 1), (dilation * (kernel - 1) // 2, 0), (dilation, 1))
        for dilation in dilations
    ]
    steps.append(nn.MaxPool2d((3, 1), (stride, 1), (1, 0)))
    return [
        nn.Sequential(
            *(nn.Conv2d(dim_in, width, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)), step, nn.BatchNorm2d(width)
        )
        for step in steps
    ]


class MultiScaleTemporal(nn.Module):
    """MS-TCN with two dilations: ``temporal_scales`` and a strided 1x1 branch, a quarter of the channels each.

    CTR-GCN (Chen et al., ICCV 2021), model/ctrgcn.py; InfoGCN (Chi et al., CVPR 2022), model/ms_tcn.py.

    Args:
        dim_in, dim: channels in and out; ``dim`` a multiple of 4.
        stride: frames in per frame out; T must be a multiple of it.
        kernel: frames of a convolution (5), odd.
    Shape:
        (B, dim_in, T, V) -> (B, dim, T / stride, V)
    """

    def __init__(self, dim_in: int, dim: int, stride: int = 1, kernel: int = 5) -> None:
        super().__init__()
        width = dim // 4
        point = nn.Sequential(nn.Conv2d(dim_in, width, 1, (stride, 1)), nn.BatchNorm2d(width))
        self.branches = nn.ModuleList([*temporal_scales(dim_in, width, stride, kernel, (1, 2)), point])

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)
