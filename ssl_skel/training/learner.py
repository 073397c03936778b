"""What is trained: a task with its optimiser and, if requested, the average of its weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ssl_skel.batch import Batch
from ssl_skel.errors import UserError
from ssl_skel.task import Task
from ssl_skel.training.checkpoint import load_checkpoint, save_checkpoint
from ssl_skel.training.config import OptimConfig
from ssl_skel.training.meter import Meter
from ssl_skel.training.optim import make_optimizer, set_learning_rate


class Learner:
    """A task on its device, ready for optimiser steps.

    Args:
        task: trained in place. On several GPUs its BatchNorms become SyncBatchNorms (which refuse a CPU).
        optim: the options.
        accelerator: device, precision and ranks.
        ema: decay of the averaged weights; 0 for none.
        compile: with torch.compile.
        groups: see ``make_optimizer``.
    """

    def __init__(
        self,
        task: Task,
        optim: OptimConfig,
        accelerator: Accelerator,
        *,
        ema: float = 0.0,
        compile: bool = False,
        groups: Sequence[dict[str, Any]] | None = None,
    ) -> None:
        self.task, self.accelerator, self.clip = task.to(accelerator.device), accelerator, optim.clip_grad or math.inf
        if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(task)
        self.optimizer = make_optimizer(task, optim, groups)
        self.parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.ema = _average(task, ema) if ema else None
        if compile:
            task.compile()
        # Not by accelerator.prepare: it would patch the caller's task, and search for packages at every step.
        self.model = task if accelerator.num_processes == 1 else _parallel(task, accelerator)

    def start(self, meter: Meter) -> None:
        """Switch to training mode, after an evaluation or a checkpoint."""
        self.task.train()
        meter.start()

    def update(self, group: list[Batch], rate: float, step: int, meter: Meter) -> None:
        """One optimiser step on the micro-batches of a group; every clip in it, on any rank, has the same weight.

        Raises:
            UserError: too few clips for all ranks.
        """
        ranks = self.accelerator.num_processes
        clips = sum(batch.rng.total for batch in group)
        set_learning_rate(self.optimizer, rate)
        for number, batch in enumerate(group, 1):
            if -(-batch.rng.total // ranks) * (ranks - 1) >= batch.rng.total:
                raise UserError(
                    f"train.batch_size: the epoch's last {batch.rng.total} clips leave one of {ranks} ranks "
                    "without any; change the batch size or drop the last batch"
                )
            with nullcontext() if number == len(group) else self.accelerator.no_sync(self.model):
                with self.accelerator.autocast():
                    scalars = self.model(batch)
                self.accelerator.backward(scalars["loss"] * (batch.rng.rows * ranks / clips))  # ranks are averaged
            meter.add(step, batch.rng.rows, scalars)
        scaler = self.accelerator.scaler
        if scaler:
            scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip)
        meter.add(step, clips, {"grad_norm": norm})
        if scaler:
            scaler.step(self.optimizer)  # left out where the scaled gradient overflowed
            scaler.update()
        else:
            self.optimizer.step()
        self.optimizer.zero_grad()

    def after_step(self, step: int, total: int) -> None:
        """Update the average and the task after ``step`` of ``total`` steps."""
        if self.ema is not None:
            self.ema.update(self.task, step)
        self.task.after_step(step / total)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The task holds the averaged weights inside; without an average, its own."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def finish(self) -> None:
        """Leave the averaged weights, if any, in the task."""
        self._swap()

    def save(self, folder: Any, state: dict[str, Any], keep: int) -> None:
        """Write a checkpoint of everything; only the main process may call it."""
        save_checkpoint(folder, state, keep=keep, **self._parts())

    def load(self, checkpoint: Any) -> dict[str, Any]:
        """Put everything back; returns the checkpoint's state."""
        return load_checkpoint(checkpoint, **self._parts())

    def _parts(self) -> dict[str, Any]:
        return {
            "model": self.task,
            "optimizer": self.optimizer,
            "scaler": self.accelerator.scaler,
            "ema": None if self.ema is None else self.ema.module,
        }

    @torch.no_grad()
    def _swap(self) -> None:
        if self.ema is None:
            return
        for mine, other in zip(_tensors(self.task), _tensors(self.ema.module), strict=True):
            kept = mine.clone()
            mine.copy_(other)
            other.copy_(kept)


def _parallel(task: Task, accelerator: Accelerator) -> nn.Module:
    """The task on all ranks. A mask token may have no gradient in a step, so DDP searches for unused parameters."""
    devices = None if accelerator.device.type == "cpu" else [accelerator.device]
    return nn.parallel.DistributedDataParallel(task, device_ids=devices, find_unused_parameters=True)


def _average(task: Task, decay: float) -> Any:
    """The average of timm: decay min(decay, 1 - (1 + t)^(-2/3)), t steps after the first, which is copied."""
    from timm.utils.model_ema import ModelEmaV3  # slow to import

    return ModelEmaV3(task, decay=decay, use_warmup=True)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
