"""Means of a task's scalars, without waiting for the device at every step."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor


class Meter:
    """Means over the clips of one epoch, and how long they took.

    Numbers stay on the device until ``read``, which fetches all of them at once. They are added one by
    one in double precision, so the means do not depend on when they were read: a resumed run logs what
    an unbroken one logs.

    Args:
        scaled: the gradient's norm may overflow (fp16 scales the loss, and skips such steps); it is then
            left out. Else it stops the training, as a loss does.
    """

    def __init__(self, scaled: bool = False) -> None:
        self.scaled = scaled
        self.reset()

    def reset(self) -> None:
        """Start a new epoch."""
        self.totals: dict[str, list[float]] = {}  # name -> [sum over clips, clips]
        self.seconds, self.last = 0.0, math.nan
        self._pending: list[tuple[int, int, dict[str, Tensor]]] = []
        self.start()

    def start(self) -> None:
        """Start the clock again, after something that is not training."""
        self._clock = time.perf_counter()

    def add(self, step: int, clips: int, scalars: dict[str, Tensor]) -> None:
        """Note the means over this rank's clips of a micro-batch."""
        self._pending.append((step, clips, {name: value.detach() for name, value in scalars.items()}))

    def read(self) -> float:
        """Fetch what is pending; returns the first step whose loss or gradient is not finite, or infinity."""
        bad = math.inf
        values = iter(_fetch([value for *_, scalars in self._pending for value in scalars.values()]))
        for step, clips, scalars in self._pending:
            for name in scalars:
                value = next(values)
                if not math.isfinite(value) and name in ("loss", "grad_norm"):
                    if name == "grad_norm" and self.scaled:
                        continue
                    bad = min(bad, step)
                total = self.totals.setdefault(name, [0.0, 0.0])
                total[0] += value * clips
                total[1] += clips
                if name == "loss":
                    self.last = value
        self._pending.clear()
        self.seconds += time.perf_counter() - self._clock
        self.start()
        return bad

    def gathered(self, accelerator: Accelerator) -> dict[str, list[float]]:
        """Totals over all ranks; every rank must call it."""
        merged: dict[str, list[float]] = {}
        for totals in gather_object([self.totals]):
            for name, (value, clips) in totals.items():
                total = merged.setdefault(name, [0.0, 0.0])
                total[0] += value
                total[1] += clips
        return merged

    def means(self, accelerator: Accelerator) -> dict[str, float]:
        """The epoch's record: mean of every scalar, clips a second, seconds of training. For all ranks to call."""
        totals = self.gathered(accelerator)
        speed = totals["loss"][1] / max(self.seconds, 1e-9)
        means = {name: value / clips for name, (value, clips) in totals.items()}
        return {**means, "clips_per_second": round(speed, 2), "seconds": round(self.seconds, 3)}

    def restore(self, totals: dict[str, list[float]], seconds: float, ranks: int) -> None:
        """Continue with the totals of a checkpoint, an equal part on each rank."""
        self.totals = {name: [value / ranks, clips / ranks] for name, (value, clips) in totals.items()}
        self.seconds = seconds

    def line(self) -> str:
        """For the progress bar: the newest loss, and the epoch's speed so far, of this rank."""
        return f"loss {self.last:.4g}, {self.totals['loss'][1] / max(self.seconds, 1e-9):.0f} clips/s"


def _fetch(scalars: list[Tensor]) -> list[float]:
    """Scalars of any type and device, waiting once."""
    if not scalars:
        return []
    device: Any = next((value.device for value in scalars if value.device.type != "cpu"), scalars[0].device)
    numbers: list[float] = torch.stack([value.reshape(()).to(device, torch.float32) for value in scalars]).tolist()
    return numbers
