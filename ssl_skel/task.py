"""What the training loop trains."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ssl_skel.batch import Batch


class Task(nn.Module, ABC):
    """A module that turns a batch into a loss: a pretext, or a classifier being trained.

    The loop calls ``forward`` and nothing else of a network. The loss must be a mean over clips of
    per-clip losses, so that splitting a batch over ranks or micro-batches changes nothing.
    """

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars to log; the one named ``loss`` is minimised."""

    def after_step(self, progress: float) -> None:
        """Called after each optimiser step with the share of training done, 0 to 1."""
