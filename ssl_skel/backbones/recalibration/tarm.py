"""TARM: each coordinate's frames, weighted by a memory of all frames."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.backbones.recalibration.config import TARMConfig
from ssl_skel.backbones.recalibration.excitation import Excitation, Grid


class Memory(nn.Module):
    """One matrix of TARM: a GRU's memory of the frames, weighted frame by frame, added to the input.

    MAN, Sec. 3.2, as in MANs_9.py. Departs from code: torch's GRU, with a sigmoid and the reset gate after the
    recurrent product; Keras 2.0.8's has a hard sigmoid and the gate before it. The weighting layers are trained; there
    they are made inside a Lambda layer, which most likely leaves them at their random start. No dropout (0.5 there,
    none in its DenseNet variant): the recipe's weight decay remains.

    Args:
        values: D, numbers per frame.
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
    """Temporal Attention Recalibration Module: each coordinate's frames, weighted by a memory of all frames.

    Memory Attention Networks (Xie et al., IJCAI 2018), Sec. 3.2; MANs_9.py. Coordinates are recalibrated separately,
    each with its own weights.
    Departs from print: one person per matrix, not two side by side; no layer may mix persons.

    Shape:
        (B, C, T, V) -> the same
    """

    Config: ClassVar = TARMConfig

    def __init__(self, config: TARMConfig, grid: Grid) -> None:
        super().__init__()
        self.apart = nn.ModuleList(
            Memory(grid.joints, grid.frames, config.hidden, config.reduction) for _ in range(grid.channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        channels = x.transpose(1, 2).chunk(len(self.apart), 2)  # (B, T, 1, V) each
        done = [memory(channel.flatten(2)) for memory, channel in zip(self.apart, channels, strict=True)]
        return torch.cat(done, 2).unflatten(2, (len(self.apart), -1)).transpose(1, 2)
