"""A task and a loader of a few bytes, and runs of them that other processes can start."""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ssl_skel.batch import Batch, Rng
from ssl_skel.task import Task
from ssl_skel.training.accelerator import make_accelerator
from ssl_skel.training.config import OptimConfig, TrainConfig
from ssl_skel.training.loop import Interrupted, fit
from ssl_skel.training.rundir import RunDir

DIM = 6


class ToyLoader:
    """Clips x (N, 1, DIM, 1, 1, 1) that are a function of their row, in an order that is one of the epoch."""

    def __init__(
        self,
        clips: int = 24,
        batch: int = 8,
        *,
        drop_last: bool = True,
        rank: int = 0,
        world: int = 1,
        pause: float = 0,
    ) -> None:
        self.clips, self.batch, self.drop_last, self.rank, self.world = clips, batch, drop_last, rank, world
        self.pause = pause
        self.data = torch.randn(clips, DIM, generator=torch.Generator().manual_seed(5))

    def __len__(self) -> int:
        return self.clips // self.batch if self.drop_last else -(-self.clips // self.batch)

    def epoch(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        order = torch.randperm(self.clips, generator=torch.Generator().manual_seed(epoch))
        for step in range(start, len(self)):
            time.sleep(self.pause)
            rows = order[step * self.batch : (step + 1) * self.batch]
            share = -(-len(rows) // self.world)
            mine = rows[self.rank * share : (self.rank + 1) * share]
            rng = Rng((epoch, step), len(mine), start=self.rank * share, total=len(rows))
            present = torch.ones(len(mine), 1, dtype=torch.bool)
            yield Batch(self.data[mine].view(-1, 1, DIM, 1, 1, 1), present, torch.full_like(mine, -1), mine, rng)


class ToyTask(Task):
    """Learn to undo a fixed map, with LayerNorm, dropout, a parameter that is never used and one used now and then."""

    def __init__(self, dropout: float = 0.1, norm: bool = False, stop_at: float = 2.0, nan_at: float = 2.0) -> None:
        super().__init__()
        self.stop_at, self.nan_at = stop_at, nan_at
        self.net = nn.Sequential(
            nn.Linear(DIM, 16), nn.LayerNorm(16), nn.GELU(), nn.Dropout(dropout), nn.Linear(16, DIM)
        )
        self.norm = nn.BatchNorm1d(DIM) if norm else nn.Identity()
        self.token, self.sometimes = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(1))
        self.register_buffer("target", torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(9)))
        self.progress: list[float] = []

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        x = batch.x.flatten(1)
        y = self.norm(self.net(x))
        error = (y - x @ self.target).square().mean(1)
        if batch.rng.key[0] % 2:  # the epoch
            error = error * self.sometimes
        if self.progress and self.progress[-1] >= self.nan_at:
            error = error * torch.nan
        return {"loss": error.mean(), "size": y.detach().abs().mean()}

    def after_step(self, progress: float) -> None:
        self.progress.append(progress)
        if progress >= self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
            self.stop_at = 2.0


def toy_fit(folder: Path, *, optim: dict[str, Any] | None = None, resume: str = "", **options: Any) -> ToyTask:
    """Train the toy in a run folder; ``options`` are of the loader, the task, or TrainConfig."""
    loader = {key: options.pop(key) for key in ("clips", "drop_last", "pause") if key in options}
    net = {key: options.pop(key) for key in ("dropout", "norm", "stop_at", "nan_at") if key in options}
    on_epoch = options.pop("on_epoch", None)
    train = TrainConfig(**{"epochs": 6, "batch_size": 8, "device": "cpu", "progress": False, **options})
    settings = OptimConfig(**{"lr": 0.01, "warmup_epochs": 1.0, **(optim or {})})
    accelerator = make_accelerator(train)
    rank, world = accelerator.process_index, accelerator.num_processes
    torch.manual_seed(0)
    task = ToyTask(**net)
    config = {"train": train.model_dump(mode="json"), "optim": settings.model_dump(mode="json")}
    run = RunDir.create(folder, json.dumps(config), resume=resume, rank=rank)
    fit(
        task,
        ToyLoader(batch=train.loader_batch(world), rank=rank, world=world, **loader),
        settings,
        train,
        accelerator=accelerator,
        run=run,
        seed=3,
        resume=bool(resume),
        on_epoch=on_epoch,
    )
    return task


def weights(task: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in task.state_dict().items()}


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def child(folder: str, weights_to: str, options: dict[str, Any]) -> None:
    """A process of its own: train, resuming what is there, and leave the weights."""
    torch.set_num_threads(1)
    task = toy_fit(Path(folder), resume="auto", **options)
    part = Path(weights_to + ".part")
    torch.save(weights(task), part)
    os.replace(part, weights_to)


def _must_have_left() -> None:
    """Registered first, so it runs last: a group that is still there at shutdown may abort the process."""
    if torch.distributed.is_initialized():
        os._exit(3)


if __name__ == "__main__":  # under torch.distributed.run
    atexit.register(_must_have_left)
    for name, options in json.loads(sys.argv[2]).items():
        if options.get("stop_at") and os.environ["RANK"] == "0":
            del options["stop_at"]  # only rank 1 is told to stop
        try:
            trained = toy_fit(Path(sys.argv[1]) / name, **options)
        except Interrupted as interrupted:
            if interrupted.code != 128 + signal.SIGTERM:
                raise
            options.pop("stop_at", None)
            trained = toy_fit(Path(sys.argv[1]) / name, resume="auto", **options)
            assert trained.progress[0] > 0.5
        if os.environ["RANK"] == "0":
            torch.save(weights(trained), Path(sys.argv[1]) / f"{name}.pt")
