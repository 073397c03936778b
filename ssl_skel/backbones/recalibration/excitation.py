"""What TARM and CSTA share: the size of their input, and weights from a vector of means."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional


class Grid(NamedTuple):
    """Size of a recalibration's input, (B, channels, frames, joints): coordinates of joints."""

    channels: int
    frames: int
    joints: int


class Excitation(nn.Module):
    """Weights between 0 and 1 from a vector of means: squeeze and excitation (Hu et al., CVPR 2018, Eq. 3).

    Both layers are as long as the vector was at construction; another length is interpolated to it and
    the weights back, linearly, so that a clip of more frames keeps its course.

    The first layer's bias starts at 1: with so few units before a ReLU, none may be dead from the start.

    Args:
        length: L.
        reduction: the hidden layer has ``length // reduction`` units, at least 1.
    Shape:
        (B, L') -> (B, L'), mostly L' = L
    """

    def __init__(self, length: int, reduction: int) -> None:
        super().__init__()
        low = max(1, length // reduction)
        self.length = length
        first = nn.Linear(length, low)
        nn.init.ones_(first.bias)
        self.weigh = nn.Sequential(first, nn.ReLU(), nn.Linear(low, length), nn.Sigmoid())

    def forward(self, means: Tensor) -> Tensor:
        return _resample(self.weigh(_resample(means, self.length)), means.shape[1])


def _resample(rows: Tensor, length: int) -> Tensor:
    """(B, L) -> (B, length), linearly; rows that are as long already stay as they are."""
    if rows.shape[1] == length:
        return rows
    return functional.interpolate(rows[:, None], length, mode="linear")[:, 0]
