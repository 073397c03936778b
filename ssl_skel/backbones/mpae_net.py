"""MPAE-Net: attention between joints and between body parts, then several time scales.

Zhang, Zhan & Wang, ACML 2024 (PMLR 260:921-935). No code was published; where the paper is silent,
each class says what was chosen and why. Inside the network a tensor is (B, T, V, D), one row a
token: every 1x1 convolution of the paper is one matrix product.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.backbones.layers import Norm, hidden_frames
from ssl_skel.backbones.position_attention import Weights, position_attention
from ssl_skel.backbones.recalibration.mte import MTE
from ssl_skel.layouts import SkeletonLayout


class PPE(nn.Module):
    """Part Partition Encoding: lift coordinates to features; a part is the mean of its joints.

    MPAE-Net, Sec. 3.1. A hidden joint enters neither a norm's statistics nor a mean: only what is
    seen is computed, then tokens fill what is missing.

    Paper silent: kernel of F_C: 1x1, so that one joint's value cannot reach another's before masking.
    Paper silent: slope of LeakyReLU: 0.1, as in ST-GCN's descendants. C1: the first layer's width.
    Paper silent: whether the zeros that pad a part to V1 joints count in its mean. They do not, so
    that neither a part's size nor a hidden joint scales its feature.
    Paper silent: masks. A hidden joint is a learned token, as is a part without a visible joint.
    Departs from print: the joint stream, too, enters layer 1 as F_C's features (C1 channels, not
    the 3 coordinates), with a learned vector a joint added: a mask token needs a feature space, and
    must know which joint it stands for.

    Args:
        channels: C, times frames a token.
        dim: C1.
        layout: its body groups are the parts.
        norm: see ``MPAENetConfig.norm``.
    Shape:
        (B, T, V, C), hidden (B, T, V) -> joints (B, T, V, C1), parts (B, T, P, C1)
    """

    def __init__(self, channels: int, dim: int, layout: SkeletonLayout, norm: str) -> None:
        super().__init__()
        self.expand = nn.Sequential(
            *(nn.Linear(channels, dim, bias=False), Norm(dim, norm), nn.LeakyReLU(0.1)),
            *(nn.Linear(dim, dim, bias=False), Norm(dim, norm), nn.LeakyReLU(0.1)),
        )
        self.embed = nn.Sequential(nn.Linear(dim, dim, bias=False), Norm(dim, norm))
        self.member: Tensor
        self.register_buffer("member", torch.from_numpy(layout.membership("body")), persistent=False)
        self.joint = nn.Parameter(torch.empty(layout.num_joints, dim))
        self.mask_token = nn.Parameter(torch.empty(dim))
        self.part_token = nn.Parameter(torch.empty(dim))
        for weight in (self.joint, self.mask_token, self.part_token):
            nn.init.trunc_normal_(weight, std=0.02)

    def forward(self, x: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        if hidden is None:
            joints = self.expand(x)
            parts = self.embed(torch.matmul(self.member / self.member.sum(1, keepdim=True), joints))
            return joints + self.joint, parts
        seen = ~hidden
        joints = _scatter(self.expand(x[seen][None, None])[0, 0], seen, self.mask_token)
        count = torch.matmul(seen.to(self.member), self.member.T)[..., None]  # (B, T, P, 1)
        total = torch.matmul(self.member, joints * seen[..., None])
        alive = count[..., 0] > 0
        means = (total / count.clamp(min=1))[alive]
        parts = _scatter(self.embed(means[None, None])[0, 0], alive, self.part_token)
        return joints + self.joint, parts


def _scatter(values: Tensor, where: Tensor, token: Tensor) -> Tensor:
    """Values (n, D) in the n cells where ``where`` is True, the token (D,) elsewhere."""
    grid = token.to(values.dtype).expand(*where.shape, -1).clone()
    grid[where] = values
    return grid


class PositionAttention(nn.Module):
    """One branch of MPA: ``position_attention`` of queries, keys and values.

    MPAE-Net, Sec. 3.2. Paper silent: Ĉ, here the width out. Gate: one weight a query and head,
    linear in that head's query, shared by heads. Position vectors: one a pair of tokens, as joints
    have no natural order, shared by heads. Where the graph A enters: added to the softmaxed map, learned, one a
    head, starting from the skeleton's bones with each row summing to 1.
    Departs from print: scores are divided by sqrt(d); without it wide layers start saturated.

    Args:
        dim_in, dim: channels in and out.
        heads: H.
        adjacency: (V, V) 0/1 with self-loops.
    Shape:
        (B, T, V, dim_in) -> (B, T, V, dim)
    """

    def __init__(self, dim_in: int, dim: int, heads: int, adjacency: Tensor) -> None:
        super().__init__()
        self.qkv = nn.Linear(dim_in, 3 * dim, bias=False)
        self.gate = nn.Linear(dim // heads, 1)
        shape = (*adjacency.shape, dim // heads)
        self.query, self.key, self.value = (
            nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02)) for _ in range(3)
        )
        self.graph = nn.Parameter((adjacency / adjacency.sum(1, keepdim=True)).repeat(heads, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        tables = self.query, self.key, self.value, self.graph, self.gate.weight[0], self.gate.bias
        return position_attention(x.flatten(0, 1), Weights(self.qkv.weight, *tables)).unflatten(0, x.shape[:2])


class MPA(nn.Module):
    """Multilevel Position-aware Attention: between joints, between parts, then both together.

    MPAE-Net, Sec. 3.2 and Fig. 3. Both branches have weights of their own and end in a sigmoid.
    Paper silent: fusion. Each part's output, through a 1x1 convolution, is added to its joints.
    Paper silent: norms and residuals. A norm after the sigmoid (whose output is small and all
    positive), a residual around, ReLU after, as in ST-TR, the paper's baseline.

    Shape:
        joints (B, T, V, dim_in), parts (B, T, P, dim_in) -> fused (B, T, V, dim), parts (B, T, P, dim)
    """

    def __init__(self, dim_in: int, dim: int, heads: int, layout: SkeletonLayout, norm: str) -> None:
        super().__init__()
        self.joint = PositionAttention(dim_in, dim, heads, torch.from_numpy(layout.adjacency("joint")))
        self.part = PositionAttention(dim_in, dim, heads, torch.from_numpy(layout.adjacency("body")))
        self.owner: Tensor  # (V, P), 1 where a joint belongs to a part
        self.register_buffer("owner", torch.from_numpy(layout.membership("body").T.copy()), persistent=False)
        self.fuse = nn.Linear(dim, dim, bias=False)
        self.norm = Norm(dim, norm)
        self.skip = nn.Identity() if dim_in == dim else nn.Linear(dim_in, dim, bias=False)

    def forward(self, joints: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
        of_joints, of_parts = self.joint(joints), self.part(parts)
        fused = self.norm(of_joints + torch.matmul(self.owner, self.fuse(of_parts)))
        return (fused + self.skip(joints)).relu_(), of_parts


class Carry(nn.Module):
    """Parts on their way to the next layer.

    Paper silent: what the next layer's parts are. Here MPA's part output, normed, with a residual
    and ReLU as for joints.

    Shape:
        before (B, T, P, dim_in), after (B, T, P, dim) -> (B, T, P, dim)
    """

    def __init__(self, dim_in: int, dim: int, norm: str) -> None:
        super().__init__()
        self.norm = Norm(dim, norm)
        self.skip = nn.Identity() if dim_in == dim else nn.Linear(dim_in, dim, bias=False)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        return (self.norm(after) + self.skip(before)).relu_()


class Layer(nn.Module):
    """MPA, then MTE on the fused joints; a residual around both.

    Paper silent: the residual: 1x1 convolution and norm where the width changes, ReLU after. Where a
    temporal stride is taken: ahead of MPA, by the mean of its frames, so that wide layers attend on few.

    Args:
        dim_in, dim: channels in and out.
        stride: frames in per frame out.
        last: no layer follows, so parts end here.
    Shape:
        joints (B, T, V, dim_in), parts (B, T, P, dim_in) -> (B, T / stride, V, dim), (B, T / stride, P, dim)
    """

    def __init__(
        self, dim_in: int, dim: int, stride: int, config: MPAENetConfig, layout: SkeletonLayout, last: bool
    ) -> None:
        super().__init__()
        self.stride = stride
        self.mpa = MPA(dim_in, dim, config.arch.heads, layout, config.norm)
        self.mte = MTE(dim, config.reduction, config.norm)
        self.carry = None if last else Carry(dim_in, dim, config.norm)
        self.skip: nn.Module = nn.Identity()
        if dim_in != dim:
            self.skip = nn.Sequential(nn.Linear(dim_in, dim, bias=False), Norm(dim, config.norm))

    def forward(self, joints: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
        if self.stride > 1:
            joints, parts = (x.unflatten(1, (-1, self.stride)).mean(2) for x in (joints, parts))
        fused, of_parts = self.mpa(joints, parts)
        if self.carry is not None:
            parts = self.carry(parts, of_parts)
        return (self.mte(fused) + self.skip(joints)).relu_(), parts


class MPAENet(Backbone[MPAENetConfig]):
    """Multilevel Position-aware Attention and Excitation over joints, parts and time.

    MPAE-Net (Zhang, Zhan & Wang, ACML 2024). ``base`` has 3.0 M parameters and 2.2 G multiply-adds a
    clip of two persons, 64 frames and 25 joints; the paper prints 2.9 M and 2.2 GFLOPs (as this
    field counts: one multiply-add is one).

    Paper silent: masks on tokens of several frames: a token is hidden if one of its frames is.

    Args:
        config: a ``MPAENetConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: frames of a clip; the network itself takes any multiple of ``t_stride``.
    """

    Config: ClassVar = MPAENetConfig

    def __init__(self, config: MPAENetConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        widths, strides, _, self.patch = config.arch
        self.dim, self.t_stride = widths[-1], self.patch * math.prod(strides)
        self.ppe = PPE(channels * self.patch, widths[0], layout, config.norm)
        self.layers = nn.ModuleList(
            Layer(widths[max(at - 1, 0)], width, stride, config, layout, last=at == len(widths) - 1)
            for at, (width, stride) in enumerate(zip(widths, strides, strict=True))
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        if mask is not None:
            frames = hidden_frames(mask, x.shape[2])
            mask = frames.unflatten(1, (-1, self.patch)).any(2)
        tokens = x.unflatten(2, (-1, self.patch)).permute(0, 2, 4, 3, 1).flatten(3)
        joints, parts = self.ppe(tokens, mask)
        for layer in self.layers:
            joints, parts = layer(joints, parts)
        return joints.permute(0, 3, 1, 2)

    def stages(self) -> list[nn.Module]:
        return [self.ppe, *self.layers]
