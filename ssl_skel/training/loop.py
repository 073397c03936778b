"""``fit``: the only training loop.

One flat loop for a CPU, a GPU, or ``torchrun`` on many machines. Everything that a step does follows from its number:
the clips and the draws on them come from the loader, the learning rate from ``learning_rate``, dropout from a seed of
its own. So a checkpoint holds weights, optimiser state and a number, and a run that was killed at any instant continues
to the same weights, on a CPU bit for bit.

A step is one optimiser step: ``train.accumulate`` micro-batches of the loader, on every rank. What is left
of an epoch after whole steps makes a smaller step, or is left out where ``loader.drop_last``: just as with
one large batch. Each clip of a step has the same weight, however the batch was cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from ssl_skel.batch import Batch
from ssl_skel.errors import UserError
from ssl_skel.escaping import say
from ssl_skel.progress import Progress, progress
from ssl_skel.task import Task
from ssl_skel.training.checkpoint_folder import STATE, damaged, newest_checkpoint
from ssl_skel.training.config import OptimConfig, TrainConfig
from ssl_skel.training.learner import Learner
from ssl_skel.training.meter import Meter
from ssl_skel.training.optim import learning_rate
from ssl_skel.training.rundir import RunDir
from ssl_skel.training.watch import Interrupted, Watch

__all__ = ["Interrupted", "Loader", "TrainConfig", "fit"]


class Loader(Protocol):
    """What ``fit`` needs from a loader: micro-batches that are a function of (epoch, number)."""

    drop_last: bool

    def __len__(self) -> int:
        """Micro-batches per epoch."""

    def epoch(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        """Micro-batches of one epoch from number ``start`` on."""


def fit(
    task: Task,
    loader: Loader,
    optim: OptimConfig,
    train: TrainConfig,
    *,
    accelerator: Accelerator,
    run: RunDir,
    seed: int = 0,
    resume: bool = False,
    on_epoch: Callable[[int], dict[str, float]] | None = None,
    groups: Sequence[dict[str, Any]] | None = None,
) -> None:
    """Train a task in place, with ``make_optimizer(task, optim, groups)``.

    Args:
        task: afterwards it holds the trained weights, or their average where ``train.ema`` is set.
        loader: built for this rank, with ``batch_size = train.loader_batch(world_size)``.
        seed: of dropout and the like; data draws have the loader's.
        resume: continue from the run's newest checkpoint, if there is one.
        on_epoch: evaluates after a number of epochs, on rank 0, with the averaged weights; its numbers are logged.

    Raises:
        UserError: nothing to train, no steps, a loss that is not finite, a checkpoint that does not fit.
        Interrupted: SIGTERM or Ctrl-C; a checkpoint was written. A second Ctrl-C stops at once.
    """
    steps = _steps_per_epoch(loader, train.accumulate)
    total = steps * train.epochs
    learner = Learner(task, optim, accelerator, ema=train.ema, compile=train.compile, groups=groups)
    meter = Meter(scaled=accelerator.scaler is not None)
    step = _restore(learner, meter, run, steps, total) if resume else 0
    with closing(run), Watch(accelerator, train) as watch, _bar(run, step, total, watch) as bar:
        while step < total:
            epoch, first = divmod(step, steps)
            batches = loader.epoch(epoch, first * train.accumulate)
            learner.start(meter)
            for _ in range(first, steps):
                _seed(seed, step, accelerator)
                rate = learning_rate(step, steps, train.epochs, optim)
                learner.update(list(islice(batches, train.accumulate)), rate, step, meter)
                step += 1
                learner.after_step(step, total)
                bar.update()
                if step % watch.every == 0 or step % steps == 0:
                    watch.look(meter.read())
                    if math.isfinite(watch.bad):
                        raise UserError(_not_finite(int(watch.bad), steps, run))
                    bar.set_postfix_str(f"epoch {epoch + 1}, {meter.line()}, lr {rate:.2g}", refresh=False)
                    if watch.stop or watch.overdue:
                        break
            done = 0 if step % steps else epoch + 1
            if done:
                evaluate = on_epoch if _due(done, train.eval_every, train.epochs) else None
                _log_epoch(learner, meter, run, {"epoch": done, "step": step, "lr": rate}, evaluate)
            if watch.stop or watch.overdue or (done and _due(done, train.checkpoint_every, train.epochs)):
                _save(learner, meter, run, step, steps, train.keep)
                watch.saved()
            if watch.stop and step < total:
                raise _stopped(watch, step, total, run)
    learner.finish()


def _steps_per_epoch(loader: Loader, accumulate: int) -> int:
    """Whole groups of micro-batches, and what is left of them unless the loader drops the last."""
    steps = len(loader) // accumulate if loader.drop_last else -(-len(loader) // accumulate)
    if steps == 0:
        raise UserError(
            f"train.batch_size: an epoch has {len(loader)} micro-batches, a step needs {accumulate}; "
            "use smaller batches or a lower train.accumulate"
        )
    return steps


def _due(done: int, every: int, epochs: int) -> bool:
    return done == epochs or (every > 0 and done % every == 0)


def _seed(seed: int, step: int, accelerator: Accelerator) -> None:
    """Seed dropout and the like for each step and rank, independently of what ran before."""
    key = np.random.SeedSequence((seed, step, accelerator.process_index)).generate_state(1, np.uint64)[0]
    number = int(key >> np.uint64(1))
    # Not torch.manual_seed: where no GPU is used it keeps a stack trace of every call.
    torch.default_generator.manual_seed(number)
    if accelerator.device.type != "cpu":
        torch.get_device_module(accelerator.device).manual_seed(number)


def _bar(run: RunDir, step: int, total: int, watch: Watch) -> Progress:
    """One bar over the whole training."""
    hidden = not (watch.train.progress and watch.accelerator.is_main_process) or step == total
    return progress(title=run.path.name, total=total, initial=step, unit="step", hidden=hidden)


def _log_epoch(
    learner: Learner,
    meter: Meter,
    run: RunDir,
    record: dict[str, Any],
    evaluate: Callable[[int], dict[str, float]] | None,
) -> None:
    """Write the epoch's means, and the figures of an evaluation. Every rank must call it."""
    record |= meter.means(learner.accelerator)
    if evaluate and learner.accelerator.is_main_process:
        with learner.averaged():
            record |= evaluate(record["epoch"])
    run.log(record)
    meter.reset()


def _save(learner: Learner, meter: Meter, run: RunDir, step: int, steps: int, keep: int) -> None:
    """Write a checkpoint; every rank must call it."""
    state = {
        "step": step,
        "epoch": step // steps,
        "step_in_epoch": step % steps,
        "steps_per_epoch": steps,
        "totals": meter.gathered(learner.accelerator),
        "seconds": meter.seconds,
        "config": run.config,
        "inputs": dict(run.inputs),
    }
    if learner.accelerator.is_main_process:
        learner.save(run.checkpoints, state, keep)


def _restore(learner: Learner, meter: Meter, run: RunDir, steps: int, total: int) -> int:
    """Put the newest checkpoint back; returns the number of steps that are done."""
    accelerator, checkpoint = learner.accelerator, newest_checkpoint(run.checkpoints)
    if len(set(gather_object([checkpoint and checkpoint.name]))) > 1:
        raise UserError(f"{run.path}: ranks find different checkpoints there; use a folder that all machines share")
    if checkpoint is None:
        run.rewind(0)
        return 0
    state = learner.load(checkpoint)
    try:
        step, began, totals, seconds = (state[key] for key in ("step", "steps_per_epoch", "totals", "seconds"))
        meter.restore(totals, float(seconds), accelerator.num_processes)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(checkpoint, STATE, error) from error
    if began != steps:
        raise UserError(
            f"{run.path}: began with {began} steps per epoch, the data now gives {steps}; "
            "restore the old data, or give this run another name"
        )
    if type(step) is not int or not 0 <= step <= total:
        raise damaged(checkpoint, STATE, ValueError(f"step: {step!r}"))
    run.rewind(step)
    if step == total and accelerator.is_main_process:
        epochs = total // steps
        say(f"{run.path}: training is done already ({epochs} epoch{'s' * (epochs != 1)})", error=True)
    return step


def _not_finite(step: int, steps: int, run: RunDir) -> str:
    checkpoint = newest_checkpoint(run.checkpoints)
    rest = f"the last good checkpoint is {checkpoint}" if checkpoint else "there is no checkpoint yet"
    return (
        f"{run.path}: the loss or its gradient is not finite at step {step + 1} (epoch {step // steps + 1}); "
        f"lower lr, set clip_grad or use precision no; {rest}"
    )


def _stopped(watch: Watch, step: int, total: int, run: RunDir) -> Interrupted:
    if watch.accelerator.is_main_process:
        say(f"{run.path}: stopped after step {step} of {total}; {run.again}", error=True)
    return Interrupted(128 + watch.stop)
