"""MPAE-Net: attention between joints and between body parts, then several time scales.

Zhang, Zhan & Wang, "MPAE-Net", ACML 2024 (PMLR 260:921-935). No code was published.
Inside the network a tensor is (B, T, V, D): one row a token, so that every 1x1 convolution of the
paper is one matrix product.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.config import RowConfig
from ssl_skel.layout import SkeletonLayout

Size = Literal["tiny", "small", "base"]

_PLANS: dict[str, dict[str, tuple[int, ...]]] = {
    "tiny": {"channels": (16, 32), "strides": (2, 2)},
    "small": {"channels": (32, 32, 64, 64, 128), "strides": (1, 1, 2, 1, 2)},
    "base": {
        "channels": (64, 64, 64, 64, 128, 128, 128, 256, 256, 256),
        "strides": (1, 1, 1, 1, 2, 1, 1, 2, 1, 1),
    },
}


class MPAENetConfig(RowConfig):
    name: Literal["mpae_net"] = "mpae_net"
    size: Size = "base"
    channels: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    heads: int = Field(8, ge=1)
    reduction: int = Field(8, ge=1)
    patch: int = Field(1, ge=1)
    norm: Literal["batch", "layer"] = "batch"

    @model_validator(mode="after")
    def _fits(self) -> MPAENetConfig:
        channels, strides = self.plan
        if len(channels) != len(strides) or not channels:
            raise ValueError("channels and strides need one number a layer each")
        if any(width % self.heads for width in channels):
            raise ValueError(f"channels: each must be a multiple of heads = {self.heads}")
        return self

    @property
    def plan(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        preset = _PLANS[self.size]
        return self.channels or preset["channels"], self.strides or preset["strides"]


class Norm(nn.Module):
    def __init__(self, dim: int, kind: str) -> None:
        super().__init__()
        self.norm: nn.Module = nn.BatchNorm2d(dim) if kind == "batch" else nn.LayerNorm(dim)
        self.batch = kind == "batch"

    def forward(self, x: Tensor) -> Tensor:
        if not self.batch:
            return self.norm(x)
        return self.norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class PPE(nn.Module):
    def __init__(self, channels: int, dim: int, layout: SkeletonLayout, norm: str) -> None:
        super().__init__()
        self.expand = nn.Sequential(
            nn.Linear(channels, dim), Norm(dim, norm), nn.LeakyReLU(0.1),
            nn.Linear(dim, dim), Norm(dim, norm), nn.LeakyReLU(0.1),
        )
        self.embed = nn.Sequential(nn.Linear(dim, dim), Norm(dim, norm))
        self.register_buffer("member", torch.from_numpy(layout.membership("body")), persistent=False)
        self.joint = nn.Parameter(torch.empty(layout.num_joints, dim))
        self.mask_token = nn.Parameter(torch.empty(dim))
        self.part_token = nn.Parameter(torch.empty(dim))
        for p in (self.joint, self.mask_token, self.part_token):
            nn.init.trunc_normal_(p, std=0.02)

    def forward(self, x: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        if hidden is None:
            feat = self.expand(x)
            mean = (self.member / self.member.sum(1, keepdim=True)) @ feat
            part = self.embed(mean)
            return feat + self.joint, part
        seen = ~hidden
        feat = self.mask_token.expand(*x.shape[:3], -1).clone()
        zero = torch.zeros_like(feat)
        vals = self.expand(x[seen][None, None])[0, 0]
        zero = zero.masked_scatter(seen[..., None], vals)
        feat = torch.where(seen[..., None], zero, self.mask_token)
        count = seen.to(x.dtype) @ self.member.T
        mean = (self.member @ zero) / count.clamp(min=1)[..., None]
        alive = count > 0
        emb = self.embed(mean[alive][None, None])[0, 0]
        part = self.part_token.expand(*mean.shape[:3], -1).masked_scatter(alive[..., None], emb)
        return feat + self.joint, part


class PositionAttention(nn.Module):
    def __init__(self, dim_in: int, dim: int, heads: int, adjacency: Tensor) -> None:
        super().__init__()
        size, self.heads = adjacency.shape[0], heads
        self.qkv = nn.Linear(dim_in, 3 * dim)
        self.gate = nn.Linear(dim, heads)
        shape = (size, size, dim // heads)
        self.pq, self.pk, self.pv = (nn.Parameter(torch.empty(shape)) for _ in range(3))
        for p in (self.pq, self.pk, self.pv):
            nn.init.trunc_normal_(p, std=0.02)
        self.graph = nn.Parameter((adjacency / adjacency.sum(1, keepdim=True)).repeat(heads, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        w = torch.sigmoid(self.gate(q))
        q, k, v = (y.unflatten(-1, (self.heads, -1)) for y in (q, k, v))  # B T V H d
        w = w.permute(0, 1, 3, 2)[..., None]
        s = w * torch.einsum("btihd,btjhd->bthij", q, k) + (1 - w) * (
            torch.einsum("btihd,ijd->bthij", q, self.pq) + torch.einsum("btjhd,ijd->bthij", k, self.pk)
        )
        a = (s / math.sqrt(q.shape[-1])).softmax(-1) + self.graph
        y = torch.einsum("bthij,btjhd->btihd", a, v) + torch.einsum("bthij,ijd->btihd", a, self.pv)
        return y.flatten(-2)


class MPA(nn.Module):
    def __init__(self, dim_in: int, dim: int, heads: int, layout: SkeletonLayout, norm: str) -> None:
        super().__init__()
        self.joint = PositionAttention(dim_in, dim, heads, torch.from_numpy(layout.adjacency("joint")))
        self.part = PositionAttention(dim_in, dim, heads, torch.from_numpy(layout.adjacency("body")))
        owner = torch.from_numpy(layout.membership("body")).argmax(0)
        self.register_buffer("owner", owner, persistent=False)
        self.norm, self.part_norm = Norm(dim, norm), Norm(dim, norm)
        self.skip = nn.Identity() if dim_in == dim else nn.Linear(dim_in, dim)
        self.part_skip = nn.Identity() if dim_in == dim else nn.Linear(dim_in, dim)

    def forward(self, joint: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
        y_joint, y_part = self.joint(joint).sigmoid(), self.part(part).sigmoid()
        fused = self.norm(y_joint + y_part[:, :, self.owner])
        return (fused + self.skip(joint)).relu(), (self.part_norm(y_part) + self.part_skip(part)).relu()


class MTE(nn.Module):
    def __init__(self, dim: int, stride: int, reduction: int, norm: str) -> None:
        super().__init__()
        low = max(1, dim // reduction)
        self.squeeze = nn.Sequential(nn.Linear(dim, low), Norm(low, norm), nn.ReLU(), nn.Linear(low, dim))
        quarter = dim // 4
        self.near = nn.Conv2d(dim, quarter, (5, 1), (stride, 1), (2, 0))
        self.far = nn.Conv2d(dim, quarter, (5, 1), (stride, 1), (4, 0), (2, 1))
        self.reduce = nn.Linear(dim, dim - 2 * quarter)
        self.pool = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        self.norm = Norm(dim, norm)

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.squeeze(x.mean(2, keepdim=True)).sigmoid()
        image = x.permute(0, 3, 1, 2)
        peak = self.pool(self.reduce(x).permute(0, 3, 1, 2))
        return self.norm(torch.cat([self.near(image), self.far(image), peak], 1).permute(0, 2, 3, 1))


class Layer(nn.Module):
    def __init__(self, dim_in: int, dim: int, stride: int, config: MPAENetConfig, layout: SkeletonLayout) -> None:
        super().__init__()
        self.stride = stride
        self.mpa = MPA(dim_in, dim, config.heads, layout, config.norm)
        self.mte = MTE(dim, stride, config.reduction, config.norm)
        same = dim_in == dim and stride == 1
        self.skip = nn.Identity() if same else nn.Sequential(nn.Linear(dim_in, dim), Norm(dim, config.norm))

    def forward(self, joint: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
        fused, part = self.mpa(joint, part)
        joint = (self.mte(fused) + self.skip(joint[:, :: self.stride])).relu()
        if self.stride > 1:
            part = part.unflatten(1, (-1, self.stride)).mean(2)
        return joint, part


class MPAENet(Backbone):
    Config: ClassVar[type[RowConfig]] = MPAENetConfig

    def __init__(self, config: RowConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        assert isinstance(config, MPAENetConfig)
        widths, strides = config.plan
        self.patch = config.patch
        self.dim, self.t_stride = widths[-1], config.patch * math.prod(strides)
        self.ppe = PPE(channels * config.patch, widths[0], layout, config.norm)
        self.layers = nn.ModuleList(
            Layer(before, width, stride, config, layout)
            for before, width, stride in zip((widths[0], *widths), widths, strides, strict=False)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        hidden = None
        if mask is not None:
            hidden = mask.repeat_interleave(x.shape[2] // mask.shape[1], 1).unflatten(1, (-1, self.patch)).any(2)
        tokens = x.permute(0, 2, 3, 1).unflatten(1, (-1, self.patch)).transpose(2, 3).flatten(3)
        joint, part = self.ppe(tokens, hidden)
        for layer in self.layers:
            joint, part = layer(joint, part)
        return joint.permute(0, 3, 1, 2)

    def stages(self) -> list[nn.Module]:
        return [self.ppe, *self.layers]
