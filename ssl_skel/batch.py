"""What the loader gives to a task, and THE axis legend.

Axes at every boundary of this package::

    N  clips in a batch          C  coordinate channels (x, y, z)     T  frames
    K  independent draws         V  joints                            M  persons
    B  packed persons (present)  D  features                          P  parts
    Tp, Vp  frames and joints after a backbone                        L  tokens, Tp * Vp

Storage order is ``(M, T, V, C)``; network order is ``(N, C, T, V, M)``. The loader converts once.
A mask is True where something is HIDDEN, everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


class Rng:
    """Random numbers for the rows that this rank holds of one global batch.

    Every draw is made for the whole global batch and cut to this rank's rows, so the numbers for a clip depend on
    ``key`` alone: not on the number of ranks, and not on what ran before. That is why a resumed run needs no saved
    generator state.

    Args:
        key: integers that name the batch, such as (seed, epoch, step).
        rows: how many rows this rank holds.
        start: global number of the first of them.
        total: rows of the global batch; default ``start + rows``.
        device: where the numbers are made.
    """

    def __init__(
        self,
        key: tuple[int, ...],
        rows: int,
        *,
        start: int = 0,
        total: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.key, self.rows, self.start = key, rows, start
        self.total = start + rows if total is None else total
        words = (len(key), *key)  # without the length, (3,) and (3, 0) would draw the same numbers
        state = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
        self.generator = torch.Generator(device).manual_seed(int(state >> np.uint64(1)))

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform numbers in [low, high), shape (rows, *shape), float32."""
        draw = torch.rand(self.total, *shape, generator=self.generator, device=self.generator.device)
        return self._mine(draw).mul_(high - low).add_(low)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, shape (rows, *shape), float32."""
        return self._mine(torch.randn(self.total, *shape, generator=self.generator, device=self.generator.device))

    def _mine(self, draw: Tensor) -> Tensor:
        return draw[self.start : self.start + self.rows]


@dataclass(frozen=True, slots=True)
class Batch:
    """Clips on the device, ready for a task.

    Attributes:
        x: joint coordinates (N, K, C, T, V, M), float32; K draws of each clip. May be strided: use
            ``reshape``, not ``view``.
        present: (N, M) bool; a person who is absent is zero in ``x`` and must not be used.
        label: (N,) int64, -1 where unknown; a pretext must not read it.
        index: (N,) int64, row of the store.
        rng: the batch's random numbers; the only source of randomness a task may use.
    """

    x: Tensor
    present: Tensor
    label: Tensor
    index: Tensor
    rng: Rng
