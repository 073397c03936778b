"""A network that is a running average of another: a momentum encoder, or a teacher."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn


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


def _state(modules: Iterable[nn.Module]) -> list[Tensor]:
    return [value for module in modules for value in (*module.parameters(), *module.buffers())]
