"""The optimiser, its parameter groups, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from torch import nn
from torch.optim import Optimizer

from ssl_skel.config import Section
from ssl_skel.errors import UserError

Share = Annotated[float, Field(ge=0, lt=1)]


class OptimConfig(Section):
    """How weights are updated. Rates are absolute: they are never scaled by batch size or ranks."""

    name: Literal["adamw", "sgd"] = "adamw"
    """adamw (Loshchilov & Hutter, ICLR 2019), or sgd with Nesterov momentum (ST-GCN and CTR-GCN train with it)."""
    lr: float = Field(1e-3, gt=0)
    """Peak learning rate. 1e-3 is the default of torch's AdamW; sgd wants about 0.1."""
    weight_decay: float = Field(0.05, ge=0)
    """For matrices and kernels; biases and other 1-D parameters have none. 0.05: MAE (He et al., CVPR 2022,
    Table 8)."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """Of adamw; torch's default. MAE pretraining uses (0.9, 0.95) (He et al., Table 8)."""
    momentum: float = Field(0.9, gt=0, lt=1)
    """Of sgd; ST-GCN and CTR-GCN use 0.9."""
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    """What follows the warm-up: half a cosine down to ``min_lr`` (Loshchilov & Hutter, ICLR 2017), steps, or the
    peak rate to the end."""
    warmup_epochs: float = Field(0.0, ge=0)
    """Linear rise from 0 to ``lr``; parts of an epoch are allowed. Goyal et al. (2017) use 5."""
    min_lr: float = Field(0.0, ge=0)
    """Where the cosine ends."""
    milestones: tuple[float, ...] = ()
    """Epochs after which the step schedule multiplies the rate by ``gamma``; CTR-GCN: [35, 55] of 65."""
    gamma: float = Field(0.1, gt=0, le=1)
    """Factor at each milestone; CTR-GCN: 0.1."""
    clip_grad: float = Field(0.0, ge=0)
    """Largest norm of the whole gradient; 0 leaves it alone."""

    @model_validator(mode="after")
    def _steps(self) -> OptimConfig:
        if (self.schedule == "step") != bool(self.milestones):
            raise ValueError("milestones: belong to schedule step, which needs at least one; give both or neither")
        return self


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
