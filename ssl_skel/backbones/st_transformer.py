"""Spatio-temporal transformer: each joint's path over a few frames is a token, and every token sees every other.

The encoder of MAMP (Mao, Deng, Zhou, Fang, Ouyang & Li, ICCV 2023) and of its MAE baseline, after
MAE (He et al., CVPR 2022): what is hidden is dropped, so a mask makes the network cheaper.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.st_transformer import STTransformerConfig
from ssl_skel.backbones.layers import hidden_frames
from ssl_skel.backbones.tokens import TokenSubset
from ssl_skel.layouts import SkeletonLayout


def xavier(module: nn.Module) -> None:
    """Glorot & Bengio's uniform start for the matrices of linear layers, zero biases, as in MAE and MAMP's code."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Embed(nn.Module):
    """Patches to tokens, and a learned position of each: one vector for its time plus one for its joint.

    Paper silent: clips of another length than at construction; positions in time are interpolated.

    Args:
        values: of a patch, frames times coordinates.
        width: D.
        grid: (Tp, V).
    """

    def __init__(self, values: int, width: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.lift = nn.Linear(values, width)
        self.time = nn.Parameter(nn.init.trunc_normal_(torch.empty(grid[0], width), std=0.02))
        self.joint = nn.Parameter(nn.init.trunc_normal_(torch.empty(grid[1], width), std=0.02))

    def positions(self, times: int) -> Tensor:
        """Positions of a grid of this many times by V, cell by cell: (times * V, D)."""
        time: Tensor = self.time
        if times != len(time):
            time = functional.interpolate(time.T[None], times, mode="linear")[0].T
        return (time[:, None] + self.joint).flatten(0, 1)

    def forward(self, patches: Tensor, times: int, chosen: TokenSubset | None) -> Tensor:
        """Cells (B, times * V, values) -> tokens (B, K, D): all of them, or those chosen."""
        positions = self.positions(times)
        if chosen is None:
            return self.lift(patches) + positions
        return self.lift(chosen.gather(patches)) + functional.embedding(chosen.cells, positions)


class STTransformer(Backbone[STTransformerConfig]):
    """Transformer over the joints and times of a person.

    MAMP (Mao et al., ICCV 2023), Sec. 3.2 and model_mamp/transformer.py: tokens of ``patch`` frames by one joint,
    separable learned positions, pre-norm blocks (Dosovitskiy et al., ICLR 2021), a LayerNorm at the end; no class
    token. ``base`` has 6.3 M parameters, as MAMP's, and with nine tokens of ten hidden costs 0.99 G multiply-adds per
    clip of two persons, 120 frames and 25 joints (in print 1.97 GFLOPs, two per multiply-add).

    Hidden tokens are left out of the computation, and their cells in the grid are zero: a decoder that reads the grid
    needs its own token there. A token is hidden if one of its frames is.

    Args:
        config: a ``STTransformerConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: frames of a clip; the network itself takes any multiple of ``t_stride``.
    """

    Config: ClassVar = STTransformerConfig
    drops_hidden: ClassVar = True

    def __init__(self, config: STTransformerConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        from timm.models.vision_transformer import Block  # timm takes seconds to import; reading a config must not

        super().__init__(config, layout, channels, num_frames)
        self.dim, depth, heads, self.t_stride = config.arch
        grid = (max(1, num_frames // self.t_stride), layout.num_joints)
        self.embed = Embed(self.t_stride * channels, self.dim, grid)
        skipped = [config.drop_path * at / max(1, depth - 1) for at in range(depth)]
        self.blocks = nn.ModuleList(
            Block(self.dim, heads, qkv_bias=True, drop_path=rate, norm_layer=nn.LayerNorm) for rate in skipped
        )
        self.norm = nn.LayerNorm(self.dim)
        for stage in self.stages():
            xavier(stage)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        times, joints = x.shape[2] // self.t_stride, x.shape[3]
        chosen = None
        if mask is not None:
            frames = hidden_frames(mask, x.shape[2])
            chosen = TokenSubset.of(~frames.unflatten(1, (times, -1)).any(2).flatten(1))
        patches = x.unflatten(2, (times, -1)).permute(0, 2, 4, 3, 1).flatten(3).flatten(1, 2)
        tokens, keys = self.embed(patches, times, chosen), None if chosen is None else chosen.keys
        for block in self.blocks:
            tokens = block(tokens, attn_mask=keys)
        tokens = self.norm(tokens)
        if chosen is not None:
            tokens = chosen.scatter(tokens, times * joints)
        return tokens.transpose(1, 2).unflatten(2, (times, joints))

    def stages(self) -> list[nn.Module]:
        return [self.embed, *self.blocks[:-1], nn.ModuleList([self.blocks[-1], self.norm])]

    def final_norm(self) -> nn.Module:
        return self.norm
