"""A network that is a running average of another: a momentum encoder, or a teacher; and how a student learns from it.

DINO (Caron et al., ICCV 2021): the teacher's outputs minus their running mean, divided by a low temperature, are a
distribution that the student's should match. Subtracting the mean keeps one output from always winning, the low
temperature keeps them from being equal.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ssl_skel.distributed import gather
from ssl_skel.encoders.encoder import pool_persons

CENTRE_MOMENTUM = 0.9
"""Momentum of the running mean (DINO: 0.9)."""


def average_of(**modules: nn.Module) -> nn.ModuleDict:
    """Copies of modules, which no gradient trains."""
    return nn.ModuleDict({name: copy.deepcopy(module) for name, module in modules.items()}).requires_grad_(False)


@torch.no_grad()
def follow(average: nn.ModuleDict, modules: Iterable[nn.Module], momentum: float) -> None:
    """Move averages towards their modules by 1 - ``momentum``: parameters and statistics; counters are copied.

    MoCo (He et al., CVPR 2020), Eq. 2.
    """
    for mean, value in zip(_state(average.values()), _state(modules), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - momentum)
        else:
            mean.copy_(value)


def rising(momentum: float, progress: float) -> float:
    """Half a cosine from ``momentum`` to 1 as the share of training done goes from 0 to 1 (BYOL; DINO)."""
    return 1 - (1 - momentum) * (math.cos(math.pi * progress) + 1) / 2


class Centre(nn.Module):
    """The running mean of a teacher's outputs, of the clips of all ranks.

    Args:
        width: P, outputs of a cell or a clip.
    """

    mean: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))

    @torch.no_grad()
    def sharpened(self, outputs: Tensor, temperature: float) -> Tensor:
        """Distributions (..., P) of outputs (..., P)."""
        return ((outputs.float() - self.mean) / temperature).softmax(-1)

    @torch.no_grad()
    def update(self, outputs: Tensor, present: Tensor) -> None:
        """Move towards the mean of the cells, then persons, then clips: (B, ..., P), (N, M). In training only."""
        if self.training:
            clips = pool_persons(outputs.float().flatten(1, -2).mean(1), present)
            self.mean.lerp_(gather(clips)[0].mean(0), 1 - CENTRE_MOMENTUM)


def cross_entropy(outputs: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of a student's outputs (..., P) and distributions (..., P), in nats: (...)."""
    return -(wanted * (outputs.float() / temperature).log_softmax(-1)).sum(-1)


def _state(modules: Iterable[nn.Module]) -> list[Tensor]:
    return [value for module in modules for value in (*module.parameters(), *module.buffers())]
