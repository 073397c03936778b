"""What the processes of one training share."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _Gather(torch.autograd.Function):
    """Concatenate all ranks' rows; a gradient flows back to the rank whose row it is, from every rank."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.rows = len(x)
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].contiguous()
        dist.all_reduce(gradient)
        start = ctx.rows * dist.get_rank()
        return gradient[start : start + ctx.rows]


def gather(x: Tensor) -> tuple[Tensor, int]:
    """Rows of all ranks, and where this rank's begin: (n, ...) -> (n * ranks, ...). Every rank must hold n rows.

    The gradient is that of the *sum* of all ranks' losses; DistributedDataParallel then takes the mean over
    ranks, and what comes out is the gradient of the mean loss over the global batch.
    """
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return x, 0
    gathered: Tensor = _Gather.apply(x)
    return gathered, len(x) * dist.get_rank()
