"""Spatio-temporal transformer: each joint's path over a few frames is a token, and every token sees every other.

The encoder of MAMP (Mao, Deng, Zhou, Fang, Ouyang & Li, ICCV 2023) and of its MAE baseline, after
MAE (He et al., CVPR 2022): what is hidden is dropped, so a mask makes the network cheaper.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.backbones.base import Backbone, BackboneConfig
from ssl_skel.backbones.layers import hidden_frames
from ssl_skel.backbones.recalibration import Grid
from ssl_skel.backbones.tokens import TokenSubset
from ssl_skel.config import RowConfig
from ssl_skel.layouts import SkeletonLayout


class ArchSpec(NamedTuple):
    """A size, resolved."""

    width: int
    depth: int
    heads: int
    patch: int


# Saved encoders name their size, so a row here must never change; add another instead.
SIZES: dict[str, ArchSpec] = {
    "tiny": ArchSpec(16, 2, 2, 4),
    "small": ArchSpec(128, 4, 4, 4),
    "base": ArchSpec(256, 8, 8, 4),
}


class STTransformerConfig(BackboneConfig):
    """Options of ``STTransformer``. ``size`` is a preset; what is given beside it overrides that part of it."""

    name: Literal["st_transformer"] = "st_transformer"
    size: Literal["tiny", "small", "base"] = "base"
    """``base``: MAMP's eight blocks of width 256. ``small``: four of 128, for training on a laptop's CPU.
    ``tiny``: two of 16, for tests and demos."""
    width: int | None = Field(None, ge=1)
    """D, channels of a token (MAMP: 256); None: of the size."""
    depth: int | None = Field(None, ge=1)
    """Blocks (MAMP: 8); None: of the size."""
    heads: int | None = Field(None, ge=1)
    """Attention heads (MAMP: 8); must divide the width; None: of the size."""
    patch: int | None = Field(None, ge=1)
    """Frames a token (MAMP: 4); None: of the size."""
    drop_path: float = Field(0.0, ge=0, lt=1)
    """Chance that a person skips a branch of the last block in training, rising evenly from 0 at the first (stochastic
    depth, Huang et al., ECCV 2016). MAMP: 0 in pretraining, 0.3 in fine-tuning."""

    @property
    def plan(self) -> ArchSpec:
        """The preset with the overrides in place."""
        given = {field: getattr(self, field) for field in ArchSpec._fields}
        return SIZES[self.size]._replace(**{field: value for field, value in given.items() if value is not None})

    @model_validator(mode="after")
    def _check(self) -> STTransformerConfig:
        if self.plan.width % self.plan.heads:
            raise ValueError(f"width {self.plan.width}: must be a multiple of heads = {self.plan.heads}")
        return self


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

    def places(self, times: int) -> Tensor:
        """Positions of a grid of so many times by V, cell by cell: (times * V, D)."""
        time: Tensor = self.time
        if times != len(time):
            time = functional.interpolate(time.T[None], times, mode="linear")[0].T
        return (time[:, None] + self.joint).flatten(0, 1)

    def forward(self, patches: Tensor, times: int, chosen: TokenSubset | None) -> Tensor:
        """Cells (B, times * V, values) -> tokens (B, K, D): all of them, or those chosen."""
        places = self.places(times)
        if chosen is None:
            return self.lift(patches) + places
        return self.lift(chosen.take(patches)) + functional.embedding(chosen.cells, places)


class STTransformer(Backbone):
    """Transformer over the joints and times of a person.

    MAMP (Mao et al., ICCV 2023), Sec. 3.2 and model_mamp/transformer.py: tokens of ``patch`` frames by one joint,
    separable learned positions, pre-norm blocks (Dosovitskiy et al., ICLR 2021), a LayerNorm at the end; no class
    token. ``base`` has 6.3 M parameters, as MAMP's, and with nine tokens of ten hidden costs 0.99 G multiply-adds a
    clip of two persons, 120 frames and 25 joints (in print 1.97 GFLOPs, two a multiply-add).

    Hidden tokens are left out of the computation, and their places in the grid are zero: a decoder that
    reads the grid wants a token of its own there. A token is hidden if one of its frames is.

    Args:
        config: a ``STTransformerConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: frames of a clip; the network itself takes any multiple of ``t_stride``.
    """

    Config: ClassVar[type[RowConfig]] = STTransformerConfig

    def __init__(self, config: RowConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        from timm.models.vision_transformer import Block  # timm takes seconds to import; reading a config must not

        super().__init__(config, layout, channels, num_frames)
        assert isinstance(config, STTransformerConfig)
        self.dim, depth, heads, self.t_stride = config.plan
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
        for at, block in enumerate(self.blocks, 1):
            tokens = block(self._between(at, tokens, times, chosen), attn_mask=keys)
        tokens = self.norm(tokens)
        if chosen is not None:
            tokens = chosen.lay(tokens, times * joints)
        return tokens.transpose(1, 2).unflatten(2, (times, joints))

    def _between(self, at: int, tokens: Tensor, times: int, chosen: TokenSubset | None) -> Tensor:
        """What enters a block, (B, K, D); a recalibration sees the whole grid, zero where tokens were left out."""
        if str(at) not in self.recalibration:
            return tokens
        cells = tokens if chosen is None else chosen.lay(tokens, times * self.layout.num_joints)
        cells = self.recalibrated(at, cells.transpose(1, 2).unflatten(2, (times, -1))).flatten(2).transpose(1, 2)
        return cells if chosen is None else chosen.take(cells)

    def stages(self) -> list[nn.Module]:
        return [self.embed, *self.blocks[:-1], nn.ModuleList([self.blocks[-1], self.norm])]

    def grids(self) -> list[Grid]:
        assert isinstance(self.config, STTransformerConfig)
        dim, depth, _, stride = self.config.plan
        return [Grid(dim, self.num_frames // stride, self.layout.num_joints)] * depth
