"""STTFormer: attention among all joints of a few consecutive frames, then convolution from tuple to tuple.

Qiu, Hou, Ren & Zhang, "Spatio-Temporal Tuples Transformer", arXiv 2201.02849 (2022); the encoder of
SkeletonMAE (Wu et al., ICMEW 2023). Inside the network a tensor is (B, D, N, L): N tuples of L tokens, channels last
in memory, so that the convolution reads a map's output as it is.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.sttformer import STTFormerConfig
from ssl_skel.backbones.layers import HiddenToken
from ssl_skel.layouts import SkeletonLayout


def position_code(tokens: int, dim: int) -> Tensor:
    """Fixed sines and cosines of the token's number within its tuple, (dim, 1, tokens).

    Released code, model/pos_embed.py, after Vaswani et al. (NeurIPS 2017): channel 2i holds
    sin(n / 10000^(2i / dim)), channel 2i + 1 the cosine.

    Args:
        tokens: L.
        dim: D, even.
    """
    angle = torch.arange(tokens)[:, None] * torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1).T.unsqueeze(1).contiguous()


def normed(conv: nn.Conv2d) -> nn.Sequential:
    """A convolution as the release starts it, and BatchNorm behind it."""
    nn.init.kaiming_normal_(conv.weight, mode="fan_out")
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels))


class TupleAttention(nn.Module):
    """Maps between the tokens of a tuple, one set for all tuples, applied to unprojected features.

    STTFormer, Sec. 3.2; released code, model/sta_block.py. With q_i, k_j of all N tuples side by side,
    map_ij = alpha * tanh(q_i . k_j / (d N)) + B_ij; no softmax; alpha and B learned, one per head. The heads' outputs
    meet in a convolution over 5 neighbouring tokens.

    Args:
        dim_in, dim: channels in and out.
        width: d, of queries and keys.
        heads: H.
        tokens: L.
    Shape:
        (B, dim_in, N, L) -> (B, dim, N, L), normed
    """

    def __init__(self, dim_in: int, dim: int, width: int, heads: int, tokens: int) -> None:
        super().__init__()
        self.heads = heads
        self.code: Tensor
        self.register_buffer("code", position_code(tokens, dim_in), persistent=False)
        self.qk = nn.Conv2d(dim_in, 2 * heads * width, 1)
        nn.init.kaiming_normal_(self.qk.weight, mode="fan_out")
        self.alpha = nn.Parameter(torch.ones(heads, 1))
        self.bias = nn.Parameter(torch.full((tokens, heads, tokens), 1 / tokens))
        self.out = normed(nn.Conv2d(heads * dim_in, dim, (1, 5), padding=(0, 2), bias=False))

    def maps(self, x: Tensor) -> Tensor:
        """(B, dim_in, N, L) -> (B, L, H, L): what token i of a head takes of token j."""
        qk = self.qk(x + self.code).unflatten(1, (2, self.heads, -1)).permute(1, 0, 2, 5, 4, 3)  # (2, B, H, L, N, d)
        q, k = qk.flatten(4)
        return (q @ k.transpose(2, 3) / q.shape[3]).tanh().transpose(1, 2) * self.alpha + self.bias

    def forward(self, x: Tensor) -> Tensor:
        # A head's row is next to its token, so the product is (B, N, L, H * dim_in) as the convolution needs it.
        heads = self.maps(x).flatten(1, 2).unsqueeze(1) @ x.permute(0, 2, 3, 1)
        return self.out(heads.unflatten(2, (-1, self.heads)).flatten(3).permute(0, 3, 1, 2))


class Block(nn.Module):
    """Attention within tuples, a position-wise layer, then a convolution over 3 tuples; LeakyReLU after each.

    STTFormer, Fig. 2; released code, model/sta_block.py: the block's input is added after the attention and again
    after the position-wise layer, through a 1x1 convolution and BatchNorm where the width changes.

    Shape:
        (B, dim_in, N, L) -> (B, dim, N, L)
    """

    def __init__(self, dim_in: int, dim: int, heads: int, tokens: int) -> None:
        super().__init__()
        wider = dim_in != dim
        self.attention = TupleAttention(dim_in, dim, dim // 4, heads, tokens)
        self.mix = normed(nn.Conv2d(dim, dim, 1, bias=False))
        self.between = normed(nn.Conv2d(dim, dim, (3, 1), padding=(1, 0), bias=False))
        self.skip = normed(nn.Conv2d(dim_in, dim, 1, bias=False)) if wider else nn.Identity()
        self.skip_between = normed(nn.Conv2d(dim, dim, 1, bias=False)) if wider else nn.Identity()
        self.relu = nn.LeakyReLU(0.1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.skip(x)
        x = self.relu(self.attention(x) + skip)
        x = self.relu(self.mix(x) + skip)
        return self.relu(self.between(x) + self.skip_between(x))


class STTFormer(Backbone[STTFormerConfig]):
    """Spatio-Temporal Tuples Transformer.

    Qiu et al. (arXiv 2201.02849); facts of heleiqiu/STTFormer's code and its config for NTU-60. ``base`` is
    meant for T = 120 with tuples of 6 frames; it has 6.2 M parameters and, for two persons, 38 G multiply-adds.

    Ours: the output has one frame per tuple, the mean over the tuple's frames; the classifier reads the mean anyway.
    Paper silent: masks. A hidden joint is a learned vector at the input.

    Args:
        config: an ``STTFormerConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: frames of a clip; the network itself takes any multiple of ``t_stride``.
    """

    Config: ClassVar = STTFormerConfig

    def __init__(self, config: STTFormerConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        widths, heads, self.t_stride, self.patch = config.arch
        self.dim = widths[-1]
        tokens = self.t_stride // self.patch * layout.num_joints
        self.hidden_token = HiddenToken(channels, layout.num_joints)
        self.enter = nn.Sequential(
            normed(nn.Conv2d(channels * self.patch, widths[0], 1, bias=False)), nn.LeakyReLU(0.1)
        )
        self.blocks = nn.ModuleList(
            Block(dim_in, width, heads, tokens) for dim_in, width in zip((widths[0], *widths[:-1]), widths, strict=True)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        x = self.hidden_token(x, mask)
        tuples = x.unflatten(2, (-1, self.t_stride // self.patch, self.patch))  # (B, C, N, t, patch, V)
        x = tuples.permute(0, 2, 3, 5, 1, 4).flatten(4).flatten(2, 3).permute(0, 3, 1, 2)  # (B, C * patch, N, t * V)
        x = self.enter(x)
        for block in self.blocks:
            x = block(x)
        return x.unflatten(3, (-1, self.layout.num_joints)).mean(3)

    def stages(self) -> list[nn.Module]:
        return [nn.ModuleList([self.hidden_token, self.enter]), *self.blocks]
