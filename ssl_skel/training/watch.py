"""What may interrupt the steps: bad numbers, a request to stop, the clock; the same on all ranks."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator

from ssl_skel.training.config import TrainConfig


class Interrupted(SystemExit):
    """Training was stopped, after a checkpoint. Ends the process with 128 + signal.

    That is 143 for SIGTERM and 130 for Ctrl-C, the convention of shells: not 0, so that a script does not take half a
    training for a whole one, and a queue knows what to start again.
    """


class Watch:
    """While open, SIGTERM and the first Ctrl-C are noted instead of ending the process; a second Ctrl-C ends it.

    Signals reach only the main thread of a process; in other threads nothing is changed.

    Attributes:
        every: steps between checks. A check waits for a GPU and for other ranks; for one process on a CPU, one after
            each step is free.
        bad: the first step with a number that is not finite, or infinity.
        stop: the signal that came, or 0.
        overdue: no checkpoint for ``train.checkpoint_minutes``.
    """

    def __init__(self, accelerator: Accelerator, train: TrainConfig) -> None:
        self.accelerator, self.train = accelerator, train
        alone = accelerator.num_processes == 1 and accelerator.device.type == "cpu"
        self.every = 1 if alone else train.log_every
        self.bad, self.stop, self.overdue = math.inf, 0, False
        self._signal, self._since = 0, 0.0
        self._before: dict[signal.Signals, Any] = {}
        self.saved()

    def saved(self) -> None:
        """A checkpoint was written just now."""
        self.overdue, self._saved = False, time.monotonic()

    def look(self, bad: float) -> None:
        """Bring ``bad``, ``stop`` and ``overdue`` up to date, the same on all ranks; all must call it."""
        overdue = time.monotonic() - self._saved >= 60 * self.train.checkpoint_minutes
        self.bad, self.stop, self.overdue = bad, self._signal, overdue
        if self.accelerator.num_processes > 1:
            wishes = torch.tensor([-bad, self._signal, overdue], dtype=torch.float64, device=self.accelerator.device)
            torch.distributed.all_reduce(wishes, torch.distributed.ReduceOp.MAX)
            self.bad, self.stop, self.overdue = -wishes[0].item(), int(wishes[1]), bool(wishes[2])

    def __enter__(self) -> Watch:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = number == self._signal == signal.SIGINT
        # Under torchrun one Ctrl-C arrives twice at once: from the terminal and from the launcher.
        if again and time.monotonic() - self._since > 1:
            raise KeyboardInterrupt
        if not again:
            self._signal, self._since = number, time.monotonic()
            # print() must not be entered again from a signal handler.
            os.write(2, b"\nstopping after this step, with a checkpoint (Ctrl-C again: at once)\n")
