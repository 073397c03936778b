"""Tokens taken out of a grid and scattered back, against loops over cells."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_skel.backbones.tokens import TokenSubset


@given(st.integers(1, 4), st.integers(1, 7), st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_gather_and_scatter_are_the_loops(persons: int, length: int, seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    wanted = torch.rand(persons, length, generator=source) < torch.rand(1, generator=source)
    grid = torch.randn(persons, length, 3, generator=source)
    chosen = TokenSubset.of(wanted)
    tokens = chosen.gather(grid.masked_fill(~wanted[..., None], torch.nan))
    most = max(1, int(wanted.sum(1).max()))
    assert tokens.shape == (persons, most, 3)
    scattered = chosen.scatter(tokens + 1, length)
    for person in range(persons):
        cells = [cell for cell in range(length) if wanted[person, cell]]
        assert chosen.cells[person, : len(cells)].tolist() == cells
        for at in range(most):
            assert torch.equal(tokens[person, at], grid[person, cells[at]] if at < len(cells) else torch.zeros(3))
            if chosen.keys is not None:
                assert chosen.keys[person, 0, 0, at] == (at < len(cells) or not cells)
        for cell in range(length):
            assert torch.equal(scattered[person, cell], grid[person, cell] + 1 if cell in cells else torch.zeros(3))


def test_equally_many_need_no_mask() -> None:
    wanted = torch.tensor([[True, False, True, False], [False, False, True, True]])
    assert TokenSubset.of(wanted).keys is None
    wanted[0, 0] = False
    assert TokenSubset.of(wanted).keys.flatten(1).tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize("wanted", [torch.zeros(2, 5, dtype=torch.bool), torch.ones(0, 5, dtype=torch.bool)])
def test_nobody_and_nothing(wanted: torch.Tensor) -> None:
    chosen = TokenSubset.of(wanted)
    grid = torch.full((len(wanted), 5, 2), torch.nan)
    assert torch.equal(chosen.scatter(chosen.gather(grid), 5), torch.zeros_like(grid))
