"""Small batches for testing pretexts, and a few steps of training on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ssl_skel.batch import Batch, Rng
from ssl_skel.layouts import LAYOUTS
from ssl_skel.pretexts.base import Pretext

CLIPS, FRAMES = 4, 16
LAYOUT = LAYOUTS["sbu15"]


def batch_for(task: Pretext, step: int = 0, rows: slice = slice(0, CLIPS)) -> Batch:
    """Smooth random paths; every second clip has two persons."""
    generator = torch.Generator().manual_seed(1)
    draw = torch.randn(CLIPS, task.num_views, 3, FRAMES, LAYOUT.num_joints, 2, generator=generator)
    x = draw.cumsum(3) * 0.05
    present = torch.tensor([[True, n % 2 == 0] for n in range(CLIPS)])
    x = torch.where(present[:, None, None, None, None, :], x, 0.0)
    index = torch.arange(CLIPS)
    rng = Rng((0, step), len(index[rows]), start=rows.start, total=CLIPS)
    return Batch(x[rows], present[rows], torch.zeros_like(index)[rows], index[rows], rng)


def change(batch: Batch, **fields: Any) -> Batch:
    old = {name: getattr(batch, name) for name in ("x", "present", "label", "index", "rng")}
    return Batch(**{**old, **fields})


def train(task: Pretext, batches: Callable[[int], Batch], steps: int) -> list[float]:
    optimizer = torch.optim.AdamW(task.parameters(), 3e-3)
    losses = []
    for step in range(steps):
        loss = task(batches(step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        task.after_step((step + 1) / steps)
        losses.append(loss.item())
    return losses
