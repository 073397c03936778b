"""Layers that several networks share."""

from __future__ import annotations

from torch import Tensor, nn


class Norm(nn.Module):
    """BatchNorm or LayerNorm over the channels of (B, T, V, D)."""

    def __init__(self, dim: int, kind: str) -> None:
        super().__init__()
        self.norm: nn.Module = nn.BatchNorm2d(dim) if kind == "batch" else nn.LayerNorm(dim)
        self.channels_first = kind == "batch"

    def forward(self, x: Tensor) -> Tensor:
        if self.channels_first:
            return self.norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # stays channels-last in memory
        return self.norm(x)
