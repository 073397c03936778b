"""Modules that weigh frames, joints or channels of a grid, and leave its shape alone.

Any network takes them in front and between its stages (``backbone.recalibrate``); see ``Backbone``. Two published
networks are built of them: TARM stands in MAN, MTE in MPAE-Net.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.backbones.layers import Norm
from ssl_skel.config import RowConfig


class Grid(NamedTuple):
    """What a module is given: (B, channels, frames, joints), joints being whatever the last axis holds."""

    channels: int
    frames: int
    joints: int
    coordinates: bool = False
    """The channels are coordinates of joints rather than features."""


class RecalibrationConfig(RowConfig):
    """Where a recalibration stands; its kinds add their own options."""

    at: tuple[Annotated[int, Field(ge=0)], ...] = (0,)
    """Stages of the network that it stands in front of; 0 is the input. Paper silent but for MAN: in front."""

    @field_validator("at")
    @classmethod
    def _once_each(cls, at: tuple[int, ...]) -> tuple[int, ...]:
        if not at or len(set(at)) < len(at):
            raise ValueError(f"is {list(at)}; name at least one stage, each once")
        return at


class Excitation(nn.Module):
    """Weights between 0 and 1 from a vector of means: squeeze and excitation (Hu et al., CVPR 2018, Eq. 3).

    Both layers are as long as the vector was at construction; another length is interpolated to it and
    the weights back, linearly, so that a clip of more frames keeps its course.

    The first layer's bias starts at 1: of so few units behind a ReLU, none may be asleep from the start.

    Args:
        length: L.
        reduction: the layer between has ``length // reduction`` units, at least 1.
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


class TARMConfig(RecalibrationConfig):
    """Options of ``TARM``."""

    name: Literal["tarm"] = "tarm"
    hidden: int = Field(64, ge=1)
    """H, units of the memory (MANs_9.py: 64)."""
    reduction: int = Field(16, ge=1)
    """Squeeze ratio over the frames (MANs_9.py: 16)."""


class Memory(nn.Module):
    """One matrix of TARM: a GRU's memory of the frames, weighed frame by frame, added to what came in.

    MAN, Sec. 3.2, as in MANs_9.py. Departs from code: the layers that weigh are trained; there they are made
    inside a Lambda layer, which most likely leaves them at their random start. No dropout (0.5 there, none
    in its DenseNet variant): the recipe's weight decay remains.

    Args:
        values: D, numbers a frame.
        frames: T.
        hidden, reduction: see ``TARMConfig``.
    Shape:
        (B, T, D) -> the same
    """

    def __init__(self, values: int, frames: int, hidden: int, reduction: int) -> None:
        super().__init__()
        self.enter = nn.Linear(values, hidden)
        self.memory = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        for name, weight in self.memory.named_parameters():
            if name.startswith("weight"):
                for gate in weight.data.split(hidden):
                    nn.init.orthogonal_(gate)
        self.weigh = Excitation(frames, reduction)
        self.leave = nn.Linear(hidden, values)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.enter(x)
        with torch.autocast(x.device.type, enabled=False):  # a GRU on the CPU takes one type only
            both, _ = self.memory(seen.to(self.memory.weight_ih_l0.dtype))
        memory = both.unflatten(2, (2, -1)).sum(2)
        return x + self.leave(memory * self.weigh(seen.mean(2))[..., None])


class TARM(nn.Module):
    """Temporal Attention Recalibration Module: each coordinate's frames as a memory of all frames weighs them.

    Memory Attention Networks (Xie et al., IJCAI 2018), Sec. 3.2; MANs_9.py. Coordinates are recalibrated apart, by
    weights of their own.
    Departs from print: one person a matrix, not two side by side; no layer may mix persons.
    Paper silent: grids of features. All channels of a frame make one matrix there: a GRU a channel would
    cost more than the network.

    Shape:
        (B, C, T, V) -> the same
    """

    Config: ClassVar[type[RecalibrationConfig]] = TARMConfig

    def __init__(self, config: RecalibrationConfig, grid: Grid) -> None:
        super().__init__()
        assert isinstance(config, TARMConfig)
        groups = grid.channels if grid.coordinates else 1
        values = grid.channels // groups * grid.joints
        self.apart = nn.ModuleList(Memory(values, grid.frames, config.hidden, config.reduction) for _ in range(groups))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 1, 3)  # (B, T, C, V)
        groups = rows.chunk(len(self.apart), 2)
        done = [memory(group.flatten(2)) for memory, group in zip(self.apart, groups, strict=True)]
        return torch.cat(done, 2).unflatten(2, rows.shape[2:]).permute(0, 2, 1, 3)


class CSTAConfig(RecalibrationConfig):
    """Options of ``CSTA``."""

    name: Literal["csta"] = "csta"
    hidden: int = Field(16, ge=1)
    """Channels that each sub-network lifts its input to. Paper silent."""
    reduction: int = Field(4, ge=1)
    """Squeeze ratio over joints and over frames. Paper silent."""


class CSTA(nn.Module):
    """Coupled Spatial-Temporal Attention: a weight a joint, a weight a frame, and each pair's product.

    Wang, arXiv 1909.10214 (2019): two sub-networks, coupled by their outer product.
    Paper silent: the sub-networks. Each lifts the values by a 1x1 convolution and ReLU, so that the mean tells
    more than where the body stands, averages over channels and the other axis, and excites with a sigmoid.
    Paper silent: how the map is applied. To 1 + map, so that nothing is lost and modules may be stacked.

    Shape:
        (B, C, T, V) -> the same
    """

    Config: ClassVar[type[RecalibrationConfig]] = CSTAConfig

    def __init__(self, config: RecalibrationConfig, grid: Grid) -> None:
        super().__init__()
        assert isinstance(config, CSTAConfig)
        self.lift_joints, self.lift_frames = (
            nn.Sequential(nn.Conv2d(grid.channels, config.hidden, 1), nn.ReLU()) for _ in range(2)
        )
        self.joints = Excitation(grid.joints, config.reduction)
        self.frames = Excitation(grid.frames, config.reduction)

    def forward(self, x: Tensor) -> Tensor:
        joints = self.joints(self.lift_joints(x).mean((1, 2)))  # (B, V)
        frames = self.frames(self.lift_frames(x).mean((1, 3)))  # (B, T)
        return x * (1 + frames[:, None, :, None] * joints[:, None, None, :])


class MTE(nn.Module):
    """Multi-scale Temporal Excitation: weigh channels at each frame, then look at several time scales.

    MPAE-Net (Zhang, Zhan & Wang, ACML 2024), Sec. 3.3, Eqs. 8-11. Branches: 5x1 convolution, the same with
    dilation 2, 3x1 max-pool.
    Departs from print: sigmoid gate, as the text and Fig. 3 say; Eq. 10 shows softmax.
    Paper silent: kernels of F1 and F2: 1x1. Widths of the branches: a quarter, a quarter and half of
    the channels (the pooled one behind a 1x1 convolution), which meets the printed size; a norm after all.

    Args:
        dim: channels, in and out.
        reduction: squeeze ratio alpha of Eq. 9 (paper: 8, Table 1).
        norm: ``batch`` or ``layer``, see ``Norm``.
    Shape:
        (B, T, V, D) -> the same
    """

    def __init__(self, dim: int, reduction: int, norm: str) -> None:
        super().__init__()
        low, quarter = max(1, dim // reduction), dim // 4
        self.squeeze = nn.Sequential(nn.Linear(dim, low, bias=False), Norm(low, norm), nn.ReLU(), nn.Linear(low, dim))
        self.near = nn.Conv2d(dim, quarter, (5, 1), padding=(2, 0), bias=False)
        self.far = nn.Conv2d(dim, quarter, (5, 1), padding=(4, 0), dilation=(2, 1), bias=False)
        self.reduce = nn.Linear(dim, dim - 2 * quarter, bias=False)
        self.peak = nn.MaxPool2d((3, 1), 1, (1, 0))
        self.norm = Norm(dim, norm)

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.squeeze(x.mean(2, keepdim=True)).sigmoid()
        image = x.permute(0, 3, 1, 2)
        scales = torch.cat([self.near(image), self.far(image), self.peak(self.reduce(x).permute(0, 3, 1, 2))], 1)
        return self.norm(scales.permute(0, 2, 3, 1))


class MTEConfig(RecalibrationConfig):
    """Options of ``MTEBranch``."""

    name: Literal["mte"] = "mte"
    dim: int = Field(64, ge=4)
    """Channels inside (MPAE-Net: 64 in its first layers)."""
    reduction: int = Field(8, ge=1)
    """Squeeze ratio alpha (MPAE-Net, Table 1: 8)."""
    norm: Literal["batch", "layer"] = "layer"
    """``batch``: BatchNorm, as the paper names it. ``layer``: no clip sees another, and the zeros that stand
    for hidden joints in front of a network colour no statistics."""


class MTEBranch(nn.Module):
    """MTE as a module of its own: in a residual branch, between two 1x1 convolutions.

    Paper silent: MTE outside MPAE-Net. The convolutions, because three coordinates make no quarters; the
    residual, as around MTE in its own network.

    Shape:
        (B, C, T, V) -> the same
    """

    Config: ClassVar[type[RecalibrationConfig]] = MTEConfig

    def __init__(self, config: RecalibrationConfig, grid: Grid) -> None:
        super().__init__()
        assert isinstance(config, MTEConfig)
        self.enter = nn.Linear(grid.channels, config.dim)
        self.mte = MTE(config.dim, config.reduction, config.norm)
        self.leave = nn.Linear(config.dim, grid.channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.leave(self.mte(self.enter(x.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)


Recalibration = TARM | CSTA | MTEBranch
RECALIBRATIONS: dict[str, type[Recalibration]] = {"tarm": TARM, "csta": CSTA, "mte": MTEBranch}
