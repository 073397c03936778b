"""A network that is built from a card of unknown origin gets no more memory than its weights can fill.

A card of a few bytes may describe a network of any size, and a tensor takes memory as soon as it is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ssl_skel.errors import UserError

_MAKERS = {
    *(torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye, torch.arange),
    *(torch.tensor, torch.linspace, torch.as_tensor, torch.from_numpy),
}
_CONSTANTS = 64 * 2**20
"""Bytes that a network may hold besides its weights, such as graphs and positions."""


class BuildLimit(TorchFunctionMode):
    """While open, modules that are built take no more than ``2 * weights + _CONSTANTS`` bytes.

    Args:
        card: file that describes the network.
        weights: bytes of the file that holds its weights.

    Raises:
        UserError: they take more.
    """

    def __init__(self, card: str, weights: int) -> None:
        super().__init__()
        self._card, self._left = card, 2 * weights + _CONSTANTS

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count what a maker of tensors made."""
        try:
            made = func(*args, **(kwargs or {}))
        except RuntimeError as error:
            if "allocate memory" in str(error):
                raise self._refused() from error
            raise
        if func in _MAKERS:
            self._left -= made.nbytes
            if self._left < 0:
                raise self._refused()
        return made

    def _refused(self) -> UserError:
        return UserError(f"{self._card}: describes a network far larger than the weights beside it; it is damaged")
