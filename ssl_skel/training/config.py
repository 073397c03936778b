"""Options of the optimiser and of the training loop."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ssl_skel.config import Section
from ssl_skel.errors import UserError

Share = Annotated[float, Field(ge=0, lt=1)]


class OptimConfig(Section):
    """How weights are updated. Rates are absolute: they are never scaled by batch size or ranks."""

    name: Literal["adamw", "sgd"] = "adamw"
    """adamw (Loshchilov & Hutter, ICLR 2019), or sgd with Nesterov momentum (ST-GCN and CTR-GCN train with it)."""
    lr: float = Field(1e-3, gt=0)
    """Peak learning rate. 1e-3 is the default of torch's AdamW; sgd needs about 0.1."""
    weight_decay: float = Field(0.05, ge=0)
    """Weight decay of matrices and kernels; biases and other 1-D parameters have none. 0.05: MAE (He et al., CVPR 2022,
    Table 8)."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """Betas of adamw; torch's default. MAE pretraining uses (0.9, 0.95) (He et al., Table 8)."""
    momentum: float = Field(0.9, gt=0, lt=1)
    """Momentum of sgd; ST-GCN and CTR-GCN use 0.9."""
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


class TrainConfig(Section):
    """How long, with what batches, on which device, and how often to log, evaluate and save."""

    epochs: int = Field(100, ge=1)
    """Passes over the data."""
    batch_size: int = Field(128, ge=1)
    """Clips per optimiser step, over all ranks and micro-batches."""
    accumulate: int = Field(1, ge=1)
    """Micro-batches per optimiser step; more of them need less memory. BatchNorm's statistics and the random draws are
    those of a micro-batch then, and a pretext that compares clips, such as psp, compares those of one."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision: no is float32; fp16 scales the loss and needs a GPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto uses an accelerator if there is one."""
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
    """Longest time without a checkpoint in minutes, also within an epoch."""
    keep: int = Field(2, ge=1)
    """Number of checkpoints to keep."""
    log_every: int = Field(10, ge=1)
    """Steps between checks of a GPU's numbers and of other ranks. One process on a CPU checks after every step."""
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
