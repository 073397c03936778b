"""Computing on some cells of a grid only: gather them as tokens, scatter the results back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class TokenSubset(NamedTuple):
    """Which cells of each person are tokens.

    As many as the person with the most has, at least one; persons with fewer are padded with cells that were not
    chosen. If all have equally many there is no padding, and attention needs no mask.

    Attributes:
        cells: (B, K) int64, the cell of each token, ascending; then the padding.
        real: (B, K) bool, False where a token is padding; None: nowhere.
    """

    cells: Tensor
    real: Tensor | None

    @classmethod
    def of(cls, wanted: Tensor) -> TokenSubset:
        """The True cells of (B, L) bool."""
        counts = wanted.sum(1).tolist()
        most = max(1, *counts, 0)
        order = wanted.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
        cells = order[:, :most]
        return cls(cells, None if all(count == most for count in counts) else wanted.gather(1, cells))

    @property
    def keys(self) -> Tensor | None:
        """(B, 1, 1, K) bool for attention, True = may be attended to; a person without any token attends to padding."""
        if self.real is None:
            return None
        return (self.real | ~self.real.any(1, keepdim=True))[:, None, None]

    def gather(self, grid: Tensor) -> Tensor:
        """Cells (B, L, D) -> tokens (B, K, D); padding is zero, whatever is there."""
        tokens = grid.gather(1, self._index(grid.shape[2]))
        return tokens if self.real is None else tokens.where(self.real[..., None], 0.0)

    def scatter(self, tokens: Tensor, length: int) -> Tensor:
        """Tokens (B, K, D) -> cells (B, length, D), zero where none was chosen."""
        if self.real is not None:
            tokens = tokens.where(self.real[..., None], 0.0)
        grid = tokens.new_zeros(tokens.shape[0], length, tokens.shape[2])
        return grid.scatter(1, self._index(tokens.shape[2]), tokens)

    def _index(self, width: int) -> Tensor:
        return self.cells[..., None].expand(-1, -1, width)
