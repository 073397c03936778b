"""DSTA-Net: attention between joints, then attention or a convolution between frames.

Shi, Zhang, Cheng & Lu, "Decoupled Spatial-Temporal Attention Network", ACCV 2020; the network of PSP Learning and
HiCLR. Inside the network a tensor is (B, D, T, V).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.dsta_net import DSTANetConfig
from ssl_skel.backbones.layers import HiddenToken
from ssl_skel.backbones.sttformer import normed, position_code
from ssl_skel.layouts import SkeletonLayout


class Attention(nn.Module):
    """Maps between the places of the last axis, one set for all places of the other, applied to unprojected features.

    DSTA-Net, Sec. 3.2: place v takes sum over u of x_u (alpha * tanh(q_u . k_v / (d N)) + B_uv), where q and k of all N
    places of the other axis are concatenated; no softmax; alpha (one per head) and, where joints attend, B are learned.
    Positions enter only queries and keys.

    Args:
        dim_in, dim: channels in and out.
        width: d, of queries and keys.
        heads: H.
        places: L with a learned map B; None: of any length, without one.
    Shape:
        (B, dim_in, N, L) -> (B, dim, N, L), normed
    """

    def __init__(self, dim_in: int, dim: int, width: int, heads: int, places: int | None) -> None:
        super().__init__()
        self.heads = heads
        self.qk = nn.Conv2d(dim_in, 2 * heads * width, 1)
        nn.init.kaiming_normal_(self.qk.weight, mode="fan_out")
        self.alpha = nn.Parameter(torch.ones(heads, 1, 1))
        self.bias = None if places is None else nn.Parameter(torch.full((heads, places, places), 1 / places))
        self.out = normed(nn.Conv2d(heads * dim_in, dim, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        code = position_code(x.shape[3], x.shape[1]).to(x)
        q, k = self.qk(x + code).unflatten(1, (2, self.heads, -1)).permute(1, 0, 2, 5, 3, 4).flatten(4)
        maps = (q @ k.transpose(2, 3) / q.shape[3]).tanh() * self.alpha  # (B, H, L, L)
        if self.bias is not None:
            maps = maps + self.bias
        taken = torch.einsum("bcnu,bhuv->bhcnv", x, maps)
        return self.out(taken.flatten(1, 2))


def _residual(dim_in: int, dim: int, stride: int, *, same: bool) -> nn.Module:
    return nn.Identity() if same else normed(nn.Conv2d(dim_in, dim, 1, (stride, 1), bias=False))


class Half(nn.Module):
    """Attention along the last axis and a position-wise layer; LeakyReLU after each, the input added before both.

    DSTA-Net, Fig. 2. A stride over axis 2 of the output is taken by the position-wise layer and its residual.

    Shape:
        (B, dim_in, T, V) -> (B, dim, T / stride, V)
    """

    def __init__(
        self, attention: Attention, dims: tuple[int, int], stride: int, *, same: bool, over_time: bool
    ) -> None:
        super().__init__()
        dim_in, dim = dims
        self.attention, self.over_time = attention, over_time
        self.mix = normed(nn.Conv2d(dim, dim, 1, (stride, 1), bias=False))
        self.skip, self.skip_mix = _residual(dim_in, dim, 1, same=same), _residual(dim_in, dim, stride, same=same)
        self.relu = nn.LeakyReLU(0.1)

    def forward(self, x: Tensor) -> Tensor:
        taken = self.attention(x.transpose(2, 3)).transpose(2, 3) if self.over_time else self.attention(x)
        return self.relu(self.skip_mix(x) + self.mix(self.relu(self.skip(x) + taken)))


class Convolution(nn.Module):
    """A convolution over 7 frames in place of the attention between them, and a residual.

    Shape:
        (B, dim, T, V) -> (B, dim, T / stride, V)
    """

    def __init__(self, dim: int, stride: int, *, same: bool) -> None:
        super().__init__()
        self.mix = normed(nn.Conv2d(dim, dim, (7, 1), (stride, 1), padding=(3, 0), bias=False))
        self.skip_mix = _residual(dim, dim, stride, same=same)
        self.relu = nn.LeakyReLU(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.skip_mix(x) + self.mix(x))


def block(dim_in: int, dim: int, stride: int, heads: int, joints: int, time: str) -> nn.Sequential:
    """Between joints, then between frames. Residuals are projected in all of a block that changes width or frames."""
    same, width = dim_in == dim and stride == 1, dim // 4
    space = Half(Attention(dim_in, dim, width, heads, joints), (dim_in, dim), 1, same=same, over_time=False)
    if time == "convolution":
        return nn.Sequential(space, Convolution(dim, stride, same=same))
    frames = Attention(dim, dim, width, heads, None)
    return nn.Sequential(space, Half(frames, (dim, dim), stride, same=same, over_time=True))


class DSTANet(Backbone[DSTANetConfig]):
    """Decoupled Spatial-Temporal Attention Network.

    Shi et al., ACCV 2020; facts of lshiwjx/DSTA-Net's code and its configs.

    Departs from print: no biases before norms, which subtract them again; no stream of fast and slow motion of its
    own, as streams are the encoder's.
    Paper silent: masks. A hidden joint is a learned vector at the input.

    Args:
        config: a ``DSTANetConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: frames of a clip; the network itself takes any multiple of ``t_stride``.
    """

    Config: ClassVar = DSTANetConfig

    def __init__(self, config: DSTANetConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        widths, strides, heads, self.patch = config.arch
        self.dim, self.t_stride = widths[-1], self.patch * math.prod(strides)
        self.hidden_token = HiddenToken(channels, layout.num_joints)
        enter = normed(nn.Conv2d(channels * self.patch, widths[0], 1, bias=False))
        self.enter = nn.Sequential(enter, nn.LeakyReLU(0.1))
        self.blocks = nn.ModuleList(
            block(dim_in, width, stride, heads, layout.num_joints, config.time)
            for dim_in, width, stride in zip((widths[0], *widths[:-1]), widths, strides, strict=True)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        frames = self.hidden_token(x, mask).unflatten(2, (-1, self.patch))  # (B, C, T / patch, patch, V)
        x = self.enter(frames.transpose(2, 3).flatten(1, 2))
        for part in self.blocks:
            x = part(x)
        return x

    def stages(self) -> list[nn.Module]:
        return [nn.ModuleList([self.hidden_token, self.enter]), *self.blocks]
