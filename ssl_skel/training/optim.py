"""The optimiser, its parameter groups, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from ssl_skel.errors import UserError
from ssl_skel.training.config import OptimConfig


def learning_rate(step: int, steps_per_epoch: int, epochs: int, optim: OptimConfig) -> float:
    """Learning rate of one optimiser step, counted from 0.

    Warm-up gives ``lr * (step + 1) / warmup``: the first step already moves, the last one has the
    peak. A warm-up longer than the training never gets there.

    >>> optim = OptimConfig(lr=1.0, warmup_epochs=2)
    >>> [round(learning_rate(step, 2, 10, optim), 2) for step in (0, 3, 4, 12, 19)]
    [0.25, 1.0, 1.0, 0.5, 0.01]
    """
    warmup = round(optim.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return optim.lr * (step + 1) / warmup
    if optim.schedule == "cosine":
        share = (step - warmup) / (epochs * steps_per_epoch - warmup)
        return optim.min_lr + (optim.lr - optim.min_lr) * 0.5 * (1 + math.cos(math.pi * share))
    if optim.schedule == "step":
        passed = sum(step >= round(milestone * steps_per_epoch) for milestone in optim.milestones)
        return optim.lr * optim.gamma**passed
    return optim.lr


def make_optimizer(task: nn.Module, optim: OptimConfig, groups: Sequence[dict[str, Any]] | None = None) -> Optimizer:
    """Optimiser over the parameters that require a gradient.

    Args:
        task: its optional ``no_weight_decay()`` names further parameters without decay (timm's rule).
        optim: the options.
        groups: ready-made parameter groups instead, each with ``params``, ``weight_decay`` and
            ``lr_scale``, the factor on the learning rate (timm's layer-wise decay has this form).

    Raises:
        UserError: nothing to train.
    """
    # Here, because timm takes seconds to import and reading a config must not.
    from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]

    if not any(parameter.requires_grad for parameter in task.parameters()):
        raise UserError(f"{type(task).__name__}: no parameter requires a gradient; unfreeze a part or do not train it")
    special: dict[str, Any] = {"betas": optim.betas} if optim.name == "adamw" else {"momentum": optim.momentum}
    return create_optimizer_v2(
        task if groups is None else list(groups),
        optim.name,
        lr=optim.lr,
        weight_decay=optim.weight_decay,
        **special,
    )


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Give each parameter group its share of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)
