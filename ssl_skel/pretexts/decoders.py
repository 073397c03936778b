"""Decoders of a masked autoencoder: from grid features to the values of every cell, or of those that will be used.

Common to all: an entry from D to the decoder's width, learned positions in time and of joints, blocks, LayerNorm
and a linear exit, as in MAMP (Mao et al., ICCV 2023). A new one is a class here and an entry in ``DECODERS``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.backbones.gin import GINLayer
from ssl_skel.backbones.st_transformer import xavier
from ssl_skel.backbones.tokens import TokenSubset
from ssl_skel.layouts import SkeletonLayout


class Decoder(nn.Module, ABC):
    """Predict frames of joints from grid features.

    Args:
        dim: D of the features.
        width: channels inside.
        depth: blocks.
        heads: heads of a block.
        grid: (Tp, V).
        out: values predicted for each cell.
        token: has a mask token, which ``hidden`` and ``cross`` need.
        span: cells of a joint, one after the other, that are predicted as one; more than 1 for ``cross`` alone.
        layout: of the joints; its bones are what ``gin`` looks along, no other needs it.

    Attributes:
        xavier_init: fresh matrices are MAE's rather than torch's.
    """

    xavier_init: ClassVar[bool] = False

    def __init__(
        self,
        dim: int,
        width: int,
        depth: int,
        heads: int,
        grid: tuple[int, int],
        out: int,
        *,
        token: bool,
        span: int = 1,
        layout: SkeletonLayout | None = None,
    ) -> None:
        super().__init__()
        (frames, self.joints), self.span, self.layout = grid, span, layout
        self.enter = nn.Linear(dim, width)
        self.time = nn.Parameter(torch.empty(frames, 1, width))
        self.joint = nn.Parameter(torch.empty(self.joints, width))
        self.blocks = nn.ModuleList(self.block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, span * out)
        nn.init.trunc_normal_(self.time, std=0.02)
        nn.init.trunc_normal_(self.joint, std=0.02)
        if token:
            self.token = nn.Parameter(nn.init.trunc_normal_(torch.empty(width), std=0.02))
        if self.xavier_init:
            xavier(self)

    def block(self, width: int, heads: int) -> nn.Module:
        """One block, with fresh weights."""
        from timm.models.vision_transformer import Block  # timm takes seconds to import; reading a config must not

        return Block(width, heads, qkv_bias=True)

    @abstractmethod
    def forward(self, features: Tensor, hidden: Tensor | None = None, wanted: Tensor | None = None) -> Tensor:
        """Values of each cell.

        Args:
            features: (B, D, Tp, Vp).
            hidden: (B, Tp, V) bool, cells whose features must not be read; None: all may be.
            wanted: (B, Tp, V) bool, cells whose values will be used; the others may be anything finite. None: all.

        Returns:
            (B, Tp, V, out).
        """

    def cells(self, features: Tensor) -> Tensor:
        """(B, D, Tp, Vp) -> (B, Tp, V, D); where the backbone merged joints, their mean: (B, Tp, 1, D)."""
        if features.shape[3] != self.joints:
            features = features.mean(3, keepdim=True)
        return features.permute(0, 2, 3, 1)


class WholeGridDecoder(Decoder):
    """All cells go through the blocks together; hidden ones as a mask token."""

    def forward(self, features: Tensor, hidden: Tensor | None = None, wanted: Tensor | None = None) -> Tensor:
        x = self.enter(self.cells(features))
        if hidden is not None:
            x = torch.where(hidden[..., None], self.token.to(x.dtype), x)
        return self.leave(self.norm(self.mix(x + self.time + self.joint)))

    @abstractmethod
    def mix(self, x: Tensor) -> Tensor:
        """The blocks: (B, Tp, V, width) -> the same."""


class AxialDecoder(WholeGridDecoder):
    """Blocks attend in turn over the joints of a frame and over the frames of a joint.

    Ours: the cost grows with Tp * V * (Tp + V) rather than with the square of Tp * V.
    """

    def mix(self, x: Tensor) -> Tensor:
        for number, block in enumerate(self.blocks):
            x = x if number % 2 == 0 else x.transpose(1, 2)
            x = block(x.flatten(0, 1)).view(x.shape)
            x = x if number % 2 == 0 else x.transpose(1, 2)
        return x


class JointDecoder(WholeGridDecoder):
    """Every cell attends to every other, over time and joints jointly.

    MAMP (Mao et al., ICCV 2023), model_mamp/transformer.py: 3 blocks on NTU-60, 5 on NTU-120 and PKU-MMD.
    """

    xavier_init = True

    def block(self, width: int, heads: int) -> nn.Module:
        from timm.models.vision_transformer import Block

        # torch's eps of 1e-5, as in MAMP: mask tokens start so small that timm's 1e-6 changes gradients by 0.5 %
        return Block(width, heads, qkv_bias=True, norm_layer=nn.LayerNorm)

    def mix(self, x: Tensor) -> Tensor:
        shape, x = x.shape, x.flatten(1, 2)
        for block in self.blocks:
            x = block(x)
        return x.view(shape)


class GINDecoder(WholeGridDecoder):
    """Each cell adds up those next to it along the bones, at its own time.

    SkeletonMAE (Yan et al., ICCV 2023), Sec. 3: one ``GINLayer``. Departs from print: the entry, positions, the norm
    and the exit that all decoders here have.
    """

    def block(self, width: int, heads: int) -> nn.Module:
        assert self.layout is not None
        return GINLayer(width, self.layout)

    def mix(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class CrossBlock(nn.Module):
    """Queries attend to the context, each on its own; then an MLP. Pre-norm, with residuals.

    Args:
        width: channels, in and out.
        heads: attention heads.
    Shape:
        x (B, Q, width), context (B, K, width), keys (B, 1, 1, K) bool or None -> (B, Q, width)
    """

    def __init__(self, width: int, heads: int) -> None:
        from timm.layers.mlp import Mlp

        super().__init__()
        self.heads = heads
        self.norm1, self.norm_context, self.norm2 = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.merge = nn.Linear(width, width)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: Tensor, context: Tensor, keys: Tensor | None) -> Tensor:
        query = self.query(self.norm1(x)).unflatten(2, (self.heads, -1)).transpose(1, 2)
        key, value = self.key_value(self.norm_context(context)).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, keys)
        x = x + self.merge(seen.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class CrossDecoder(Decoder):
    """Mask tokens of the cells that will be used attend to the visible cells, not to each other.

    CrossMAE (Fu et al., TMLR 2025), Sec. 3: the prediction of one cell does not depend on which others are predicted,
    so a sample of them is enough, and the cost grows with that sample times the visible cells. With a ``span``, one
    token predicts several cells, as in AMR (Sun et al., CVPR 2026); it stands at the mean of their positions.
    Departs from print: positions are added to the visible cells too, since a convolution's features need not say where
    they are (only those of time if joints are merged); and all blocks read the last layer of the encoder.
    """

    xavier_init = True

    def block(self, width: int, heads: int) -> nn.Module:
        return CrossBlock(width, heads)

    def forward(self, features: Tensor, hidden: Tensor | None = None, wanted: Tensor | None = None) -> Tensor:
        cells, places = self.cells(features), self.time + self.joint
        merged = cells.shape[2] != self.joints
        if hidden is None or merged:
            hidden = torch.zeros(cells.shape[:3], dtype=torch.bool, device=cells.device)
        if wanted is None:
            wanted = hidden.new_ones(len(cells), *places.shape[:2])
        seen, at = TokenSubset.of(~hidden.flatten(1)), self.time if merged else places
        context = self.enter(seen.gather(cells.flatten(1, 2))) + functional.embedding(seen.cells, at.flatten(0, 1))
        spans = wanted.unflatten(1, (-1, self.span)).any(2)
        places = places.unflatten(0, (-1, self.span)).mean(1).flatten(0, 1)
        used = TokenSubset.of(spans.flatten(1))
        x, keys = self.token + functional.embedding(used.cells, places), seen.keys
        for block in self.blocks:
            x = block(x, context, keys)
        found = used.scatter(self.leave(self.norm(x)), len(places)).view(*spans.shape, self.span, -1)
        return found.movedim(3, 2).flatten(1, 2)


DECODERS: dict[str, type[Decoder]] = {
    "axial": AxialDecoder,
    "joint": JointDecoder,
    "cross": CrossDecoder,
    "gin": GINDecoder,
}
