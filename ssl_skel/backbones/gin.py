"""GIN: each frame is a graph, and a joint adds up what its neighbours hold.

Xu, Hu, Leskovec and Jegelka, ICLR 2019; as the encoder of SkeletonMAE, Yan et al., ICCV 2023.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.gin import SIZES, GINConfig
from ssl_skel.backbones.layers import Norm, hidden_frames
from ssl_skel.layouts import SkeletonLayout


class GINLayer(nn.Module):
    """A joint's own vector and the sum of its neighbours', then an MLP.

    GIN (Xu et al., ICLR 2019), Eq. 4.1: h_v <- MLP((1 + eps) h_v + sum over the neighbours u of v of h_u), eps learned
    from 0. The MLP is linear, BatchNorm, PReLU, linear, and BatchNorm and PReLU follow it, as in GraphMAE (Hou et al.,
    KDD 2022), from which Yan et al. have their loss; of the MLP their text names PReLU alone.

    Args:
        width: channels in and out.
        layout: its bones are the edges.
    Shape:
        (B, T, V, width) -> the same
    """

    def __init__(self, width: int, layout: SkeletonLayout) -> None:
        super().__init__()
        bones = torch.from_numpy(layout.adjacency()).fill_diagonal_(0)
        self.bones: Tensor  # (V, V)
        self.register_buffer("bones", bones, persistent=False)
        self.eps = nn.Parameter(torch.zeros(()))
        self.mlp = nn.Sequential(
            *(nn.Linear(width, width), Norm(width, "batch"), nn.PReLU()),
            *(nn.Linear(width, width), Norm(width, "batch"), nn.PReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp((1 + self.eps) * x + torch.matmul(self.bones, x))


class Enter(nn.Module):
    """Coordinates to channels; every hidden joint becomes the same learned vector.

    SkeletonMAE (Yan et al., ICCV 2023), Sec. 3: the token stands for a joint's features, not for its coordinates.

    Args:
        channels: C.
        width: D.
    Shape:
        x (B, C, T, V), mask (B, T / u, V) bool or None -> (B, T, V, D)
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.lift = nn.Linear(channels, width)
        self.hidden_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(width), std=0.02))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        if mask is None:
            return self.lift(x)
        hidden = hidden_frames(mask, x.shape[1])[..., None]
        seen = self.lift(x.masked_fill(hidden, 0.0))
        return torch.where(hidden, self.hidden_token.to(seen.dtype), seen)


class GIN(Backbone[GINConfig]):
    """A graph isomorphism network on each frame by itself: the encoder of the graph SkeletonMAE.

    SkeletonMAE (Yan et al., ICCV 2023), Sec. 3: a linear layer makes channels of a joint's coordinates, and three
    ``GINLayer`` follow along the bones.
    Departs from print: persons of a clip are encoded alone, as everywhere here. Their action network around such
    encoders (STRL: positions in time, sums over joints, convolutions over time) is not here, so features do not see
    other frames: pool them in several time bins, or train a network on top.

    Args:
        config: a ``GINConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: T; others are taken too.
    """

    Config: ClassVar = GINConfig
    t_stride = 1

    def __init__(self, config: GINConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        self.dim, depth = SIZES[config.size]
        self.enter = Enter(channels, self.dim)
        self.layers = nn.ModuleList(GINLayer(self.dim, layout) for _ in range(depth))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        x = self.enter(x, mask)
        for layer in self.layers:
            x = layer(x)
        return x.permute(0, 3, 1, 2)

    def stages(self) -> list[nn.Module]:
        return [self.enter, *self.layers]
