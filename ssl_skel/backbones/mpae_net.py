"""MPAE-Net: attention between joints and between body parts, then several time scales.

Zhang, Zhan & Wang, ACML 2024 (PMLR 260:921-935). No code was published; where the paper is silent,
each class says what was chosen and why. Inside the network a tensor is (B, T, V, D), one row per token: every 1x1
convolution of the paper is one matrix product.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

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
    Paper silent: whether the zeros that pad a part to V1 joints count in its mean. They do not, unless ``padded``, so
    that neither a part's size nor a hidden joint scales its feature.
    Paper silent: masks. A hidden joint is a learned token, as is a part without a visible joint.
    Departs from print: the joint stream, too, enters layer 1 as F_C's features (C1 channels, not
    the 3 coordinates), with a learned vector per joint added: a mask token needs a feature space, and must know its
    joint.

    Args:
        channels: C, times frames per token.
        dim: C1.
        layout: its body groups are the parts.
        norm: see ``MPAENetConfig.norm``.
        has_parts: otherwise there are joints alone.
        padded: see ``MPAENetConfig.part_mean``.
    Shape:
        (B, T, V, C), hidden (B, T, V) -> joints (B, T, V, C1), parts (B, T, P, C1) or None
    """

    def __init__(
        self, channels: int, dim: int, layout: SkeletonLayout, norm: str, has_parts: bool = True, padded: bool = False
    ) -> None:
        super().__init__()
        self.expand = nn.Sequential(
            *(nn.Linear(channels, dim, bias=False), Norm(dim, norm), nn.LeakyReLU(0.1)),
            *(nn.Linear(dim, dim, bias=False), Norm(dim, norm), nn.LeakyReLU(0.1)),
        )
        self.padded = padded
        self.embed = nn.Sequential(nn.Linear(dim, dim, bias=False), Norm(dim, norm)) if has_parts else None
        self.member: Tensor
        self.register_buffer("member", torch.from_numpy(layout.membership("body")), persistent=False)
        self.joint = nn.Parameter(torch.empty(layout.num_joints, dim))
        self.mask_token = nn.Parameter(torch.empty(dim))
        self.part_token = nn.Parameter(torch.empty(dim)) if has_parts else None
        for weight in (self.joint, self.mask_token, self.part_token):
            if weight is not None:
                nn.init.trunc_normal_(weight, std=0.02)

    def forward(self, x: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if hidden is None:
            joints = self.expand(x)
            return joints + self.joint, self.polymerise(joints, None)
        seen = ~hidden
        joints = _scatter(self.expand(x[seen][None, None])[0, 0], seen, self.mask_token)
        return joints + self.joint, self.polymerise(joints, seen)

    def polymerise(self, joints: Tensor, seen: Tensor | None) -> Tensor | None:
        """Features of joints (B, T, V, C1), of which those are ``seen`` (B, T, V) -> parts (B, T, P, C1) or None."""
        if self.embed is None or self.part_token is None:
            return None
        sizes = self.member.sum(1, keepdim=True)  # (P, 1)
        if seen is None:
            return self.embed(torch.matmul(self.member / (sizes.amax() if self.padded else sizes), joints))
        count = torch.matmul(seen.to(self.member), self.member.T)[..., None]  # (B, T, P, 1)
        total = torch.matmul(self.member, joints * seen[..., None])
        alive = count[..., 0] > 0
        means = (total / (sizes.amax() if self.padded else count.clamp(min=1)))[alive]
        return _scatter(self.embed(means[None, None])[0, 0], alive, self.part_token)


def _scatter(values: Tensor, where: Tensor, token: Tensor) -> Tensor:
    """Values (n, D) in the n cells where ``where`` is True, the token (D,) elsewhere."""
    grid = token.to(values.dtype).expand(*where.shape, -1).clone()
    grid[where] = values
    return grid


class PositionAttention(nn.Module):
    """One branch of MPA: ``position_attention`` of queries, keys and values.

    MPAE-Net, Sec. 3.2. Paper silent: Ĉ, here the width out. Gate: one weight per query and head, linear in that head's
    query, shared by heads. Position vectors: one per pair of tokens, as joints have no natural order, shared by heads.
    Where the graph A enters: added to the softmaxed map, learned, one per head, starting from the skeleton's bones with
    each row summing to 1.
    Departs from print: scores are divided by sqrt(d), unless not ``scaled``; without it wide layers start saturated.

    Args:
        dim_in, dim: channels in and out.
        heads: H.
        adjacency: (V, V) 0/1 with self-loops.
        by_distance: one position vector per difference of numbers, not per pair.
        scaled: see ``MPAENetConfig``.
    Shape:
        (B, T, V, dim_in) -> (B, T, V, dim)
    """

    def __init__(
        self, dim_in: int, dim: int, heads: int, adjacency: Tensor, by_distance: bool = False, scaled: bool = True
    ) -> None:
        super().__init__()
        self.scaled = scaled
        self.qkv = nn.Linear(dim_in, 3 * dim, bias=False)
        self.gate = nn.Linear(dim // heads, 1)
        tokens = len(adjacency)
        shape = (2 * tokens - 1, dim // heads) if by_distance else (tokens, tokens, dim // heads)
        self.query, self.key, self.value = (
            nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02)) for _ in range(3)
        )
        self.graph = nn.Parameter((adjacency / adjacency.sum(1, keepdim=True)).repeat(heads, 1, 1))
        at = torch.arange(tokens)
        self.difference: Tensor | None  # (V, V), which vector a pair has
        self.register_buffer("difference", at[:, None] - at + tokens - 1 if by_distance else None, persistent=False)

    def weights(self) -> Weights:
        """As ``position_attention`` takes them: one vector per pair, and scores divided by sqrt(d)."""
        pairs: list[Tensor] = [self.query, self.key, self.value]
        if self.difference is not None:
            pairs = [vectors[self.difference] for vectors in pairs]
        query, key, value = pairs
        weights = Weights(self.qkv.weight, query, key, value, self.graph, self.gate.weight[0], self.gate.bias)
        if self.scaled:
            return weights
        factor = self.gate.in_features**0.5  # scores are made of one query or key vector each, so this undoes it
        to_query, rest = weights.project.tensor_split([len(weights.project) // 3])
        return weights._replace(
            project=torch.cat([to_query * factor, rest]), key=weights.key * factor, gate=weights.gate / factor
        )

    def forward(self, x: Tensor) -> Tensor:
        return position_attention(x.flatten(0, 1), self.weights()).unflatten(0, x.shape[:2])


class PlainAttention(nn.Module):
    """The replacement of a branch of MPA in an ablation: softmax attention, and the branch's sigmoid.

    Paper silent: what Table 2 has there.

    Shape:
        (B, T, V, dim_in) -> (B, T, V, dim)
    """

    def __init__(self, dim_in: int, dim: int, heads: int, scaled: bool = True) -> None:
        super().__init__()
        self.heads, self.scale = heads, None if scaled else 1.0
        self.qkv = nn.Linear(dim_in, 3 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(3, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        seen = functional.scaled_dot_product_attention(query, key, value, scale=self.scale)
        return seen.transpose(2, 3).flatten(3).sigmoid()


class MPA(nn.Module):
    """Multilevel Position-aware Attention: between joints, between parts, then both together.

    MPAE-Net, Sec. 3.2 and Fig. 3. Both branches have weights of their own and end in a sigmoid.
    Paper silent: fusion. Each part's output, through a 1x1 convolution, is added to its joints.
    Paper silent: norms and residuals. A norm after the sigmoid (whose output is small and all
    positive), a residual around, ReLU after, as in ST-TR, the paper's baseline.

    Without parts, joints attend to joints alone.

    Args:
        dim_in, dim: channels in and out.
        config: the network's.
        layout: its joints and parts.
    Shape:
        joints (B, T, V, dim_in), parts (B, T, P, dim_in) -> fused (B, T, V, dim), parts (B, T, P, dim)
    """

    def __init__(self, dim_in: int, dim: int, config: MPAENetConfig, layout: SkeletonLayout) -> None:
        super().__init__()

        def branch(level: str) -> nn.Module:
            if config.positions == "none":
                return PlainAttention(dim_in, dim, config.arch.heads, config.scaled)
            adjacency, by_distance = torch.from_numpy(layout.adjacency(level)), config.positions == "distances"
            return PositionAttention(dim_in, dim, config.arch.heads, adjacency, by_distance, config.scaled)

        self.joint = branch("joint")
        self.part = branch("body") if config.parts else None
        self.owner: Tensor  # (V, P), 1 where a joint belongs to a part
        self.register_buffer("owner", torch.from_numpy(layout.membership("body").T.copy()), persistent=False)
        self.fuse = nn.Linear(dim, dim, bias=False) if config.parts else None
        self.norm = Norm(dim, config.norm)
        self.skip = nn.Identity() if dim_in == dim else nn.Linear(dim_in, dim, bias=False)

    def forward(self, joints: Tensor, parts: Tensor | None) -> tuple[Tensor, Tensor | None]:
        attended, of_parts = self.joint(joints), None
        if self.part is not None and self.fuse is not None:
            of_parts = self.part(parts)
            attended = attended + torch.matmul(self.owner, self.fuse(of_parts))
        return (self.norm(attended) + self.skip(joints)).relu_(), of_parts


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


class PlainTime(nn.Module):
    """The replacement of MTE in an ablation: a convolution over 9 frames, as in ST-TR, and a norm.

    Paper silent: what Table 2 has there.

    Shape:
        (B, T, V, D) -> the same
    """

    def __init__(self, dim: int, norm: str) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(dim, dim, (9, 1), padding=(4, 0), bias=False), Norm(dim, norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class Layer(nn.Module):
    """MPA, then MTE on the fused joints; a residual around both.

    Paper silent: the residual: 1x1 convolution and norm where the width changes, ReLU after. Where a
    temporal stride is taken: before MPA, by the mean of its frames, so that wide layers attend on few.

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
        self.mpa = MPA(dim_in, dim, config, layout)
        self.mte = MTE(dim, config.reduction, config.norm) if config.excitation else PlainTime(dim, config.norm)
        self.carry = None if last or not config.parts else Carry(dim_in, dim, config.norm)
        self.skip: nn.Module = nn.Identity()
        if dim_in != dim:
            self.skip = nn.Sequential(nn.Linear(dim_in, dim, bias=False), Norm(dim, config.norm))

    def forward(self, joints: Tensor, parts: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if self.stride > 1:
            joints = joints.unflatten(1, (-1, self.stride)).mean(2)
            parts = None if parts is None else parts.unflatten(1, (-1, self.stride)).mean(2)
        fused, of_parts = self.mpa(joints, parts)
        if self.carry is not None:
            parts = self.carry(parts, of_parts)
        return (self.mte(fused) + self.skip(joints)).relu_(), parts


class MPAENet(Backbone[MPAENetConfig]):
    """Multilevel Position-aware Attention and Excitation over joints, parts and time.

    MPAE-Net (Zhang, Zhan & Wang, ACML 2024). ``base`` has 3.0 M parameters and 2.2 G multiply-adds per clip of two
    persons, 64 frames and 25 joints; the paper prints 2.9 M and 2.2 GFLOPs (as this field counts: one multiply-add is
    one).

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
        padded = config.part_mean == "padded"
        self.ppe = PPE(channels * self.patch, widths[0], layout, config.norm, config.parts, padded)
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
