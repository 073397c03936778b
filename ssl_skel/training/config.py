"""Options of the training loop."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ssl_skel.config import Section
from ssl_skel.errors import UserError


class TrainConfig(Section):
    """How long, how large, where, and how often to look."""

    epochs: int = Field(100, ge=1)
    """Passes over the data."""
    batch_size: int = Field(128, ge=1)
    """Clips an optimiser step, over all ranks and micro-batches."""
    accumulate: int = Field(1, ge=1)
    """Micro-batches an optimiser step; more of them need less memory. BatchNorm's statistics and the random draws are
    those of a micro-batch then, and a pretext that compares clips, such as psp, compares those of one."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision: no is float32; fp16 scales the loss and needs a GPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes an accelerator where there is one."""
    compile: bool = False
    """Compile the task with torch.compile: a slow first step, faster ones after it."""
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay of the averaged weights, 0 for none. It warms up as 1 - (1 + t)^(-2/3) (timm's ModelEmaV3), so that short
    runs forget their start. Evaluation and the final encoder use the average."""
    eval_every: int = Field(20, ge=0)
    """Epochs between evaluations; 0: at the end only. The last epoch is always evaluated."""
    checkpoint_every: int = Field(10, ge=0)
    """Epochs between checkpoints; 0: by the clock only. The last epoch always has one."""
    checkpoint_minutes: float = Field(10.0, ge=0)
    """At most this long without a checkpoint, also within an epoch."""
    keep: int = Field(2, ge=1)
    """Checkpoints that stay."""
    log_every: int = Field(10, ge=1)
    """Steps between looks at a GPU's numbers and at other ranks. One process on a CPU looks after every step."""
    progress: bool = True
    """Show a progress bar."""

    def loader_batch(self, world_size: int) -> int:
        """Clips of one micro-batch over all ranks: the loader's ``batch_size``.

        Raises:
            UserError: ranks and micro-batches cannot cut the batch evenly.
        """
        if self.batch_size % (self.accumulate * world_size):
            raise UserError(
                f"train.batch_size: {self.batch_size} clips cannot be cut into {self.accumulate} micro-batches "
                f"on {world_size} ranks; use a multiple of {self.accumulate * world_size}"
            )
        return self.batch_size // self.accumulate
