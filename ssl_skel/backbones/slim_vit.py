"""SLiM's transformer: tokens know their joint by a vector and their time by a rotation, and may be replaced by a mask
token.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.slim_vit import SLiMViTConfig
from ssl_skel.backbones.layers import hidden_frames
from ssl_skel.layouts import SkeletonLayout

BASE = 10_000.0
"""Base of the rotations' wavelengths (RoFormer, Su et al., 2021)."""


def rotation(times: int, width: int, device: torch.device) -> Tensor:
    """Sines and cosines by which a head of ``width`` channels turns: (times, 2 * width), as timm's attention has them.

    SLiM's release, layers/attention.py: channel i turns with channel i + width / 2, by its own step per time.
    """
    steps = BASE ** (-torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    angles = torch.arange(times, device=device, dtype=torch.float32)[:, None] * steps
    angles = torch.cat([angles, angles], 1)
    return torch.cat([angles.sin(), angles.cos()], 1)


class Enter(nn.Module):
    """Patches to tokens, after a class token and registers.

    Args:
        values: of a patch, frames times coordinates.
        width: D.
        joints: V.
        prefix: tokens before the patches'.
    Shape:
        patches (B, Tp, V, values), hidden (B, Tp, V) bool or None -> (B, prefix + Tp * V, D)
    """

    def __init__(self, values: int, width: int, joints: int, prefix: int) -> None:
        super().__init__()
        self.lift = nn.Linear(values, width)
        self.joint, self.prefix = (nn.Parameter(torch.empty(count, width)) for count in (joints, prefix))
        self.hidden_token = nn.Parameter(torch.zeros(width))
        for vectors in (self.joint, self.prefix):
            nn.init.trunc_normal_(vectors, std=0.02)

    def forward(self, patches: Tensor, hidden: Tensor | None) -> Tensor:
        if hidden is None:
            tokens = self.lift(patches)
        else:
            seen = self.lift(patches.masked_fill(hidden[..., None], 0.0))
            tokens = torch.where(hidden[..., None], self.hidden_token.to(seen.dtype), seen)
        tokens = (tokens + self.joint).flatten(1, 2)
        return torch.cat([self.prefix.expand(len(tokens), -1, -1).to(tokens.dtype), tokens], 1)


class SLiMViT(Backbone[SLiMViTConfig]):
    """Transformer over the joints and times of a person, with registers and a mask token for hidden ones.

    SLiM (Do et al., arXiv 2603.10648), models/vision_transformer.py, after DINOv2: tokens of ``patch`` frames by one
    joint, a learned vector per joint, rotary positions in time (RoFormer), pre-norm blocks with SwiGLU (Shazeer, 2020),
    LayerNorm with eps 1e-6. A token of which a frame is hidden is one learned vector, so that it gets features, by
    which the pretext ``slim`` predicts. ``base`` has 6.4 M parameters, as SLiM's.

    Departs from print: features are those of the joints' tokens; the class token mixes with them and is left out at the
    end, since no grid has a place for it.

    Args:
        config: a ``SLiMViTConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: frames of a clip; the network itself takes any multiple of ``t_stride``.
    """

    Config: ClassVar = SLiMViTConfig

    def __init__(self, config: SLiMViTConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        from timm.models.eva import EvaBlock  # timm takes seconds to import; reading a config must not

        super().__init__(config, layout, channels, num_frames)
        self.dim, depth, self.heads, self.t_stride = config.arch
        self.prefix = 1 + config.registers
        self.enter = Enter(self.t_stride * channels, self.dim, layout.num_joints, self.prefix)
        hidden, norm = (8 * self.dim // 3 + 7) // 8 * 8, partial(nn.LayerNorm, eps=1e-6)
        self.blocks = nn.ModuleList(
            EvaBlock(
                self.dim,
                self.heads,
                mlp_ratio=(hidden + 0.5) / self.dim,  # rounded down there
                swiglu_mlp=True,
                num_prefix_tokens=self.prefix,
                attn_type="rope",
                rotate_half=True,
                norm_layer=norm,
            )
            for _ in range(depth)
        )
        self.norm = norm(self.dim)
        for layer in self.own_modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        times, joints = x.shape[2] // self.t_stride, x.shape[3]
        hidden = None if mask is None else hidden_frames(mask, x.shape[2]).unflatten(1, (times, -1)).any(2)
        tokens = self.enter(x.unflatten(2, (times, -1)).permute(0, 2, 4, 3, 1).flatten(3), hidden)
        turns = rotation(times, self.dim // self.heads, x.device).repeat_interleave(joints, 0)
        for block in self.blocks:
            tokens = block(tokens, rope=turns)
        return self.norm(tokens[:, self.prefix :]).transpose(1, 2).unflatten(2, (times, joints))

    def stages(self) -> list[nn.Module]:
        return [self.enter, *self.blocks[:-1], nn.ModuleList([self.blocks[-1], self.norm])]

    def final_norm(self) -> nn.Module:
        return self.norm
