"""Rng: what a clip draws depends on the key and its global row, and on nothing else."""

import pytest
import torch

from ssl_skel.batch import Rng

KEY = (3, 1, 4)


def test_ranks_together_draw_what_one_draws() -> None:
    whole = Rng(KEY, 10)
    parts = [Rng(KEY, rows, start=start, total=10) for start, rows in ((0, 4), (4, 4), (8, 2))]
    for draw in ("uniform", "normal", "uniform"):
        torch.testing.assert_close(
            torch.cat([getattr(part, draw)(2, 3) for part in parts]), getattr(whole, draw)(2, 3), rtol=0, atol=0
        )


def test_a_rank_without_rows_draws_nothing() -> None:
    assert Rng(KEY, 0, start=5, total=5).uniform(3).shape == (0, 3)


def test_default_total_ends_with_this_rank() -> None:
    assert Rng(KEY, 3, start=4).total == 7


def test_equal_keys_draw_equal_numbers() -> None:
    torch.testing.assert_close(Rng(KEY, 5).normal(2), Rng(KEY, 5).normal(2), rtol=0, atol=0)


@pytest.mark.parametrize("key", [(3, 1, 5), (3, 2, 4), (4, 1, 4), (1, 3, 4), (3, 1, 4, 1)])
def test_other_keys_draw_other_numbers(key: tuple[int, ...]) -> None:
    assert not torch.isclose(Rng(KEY, 50).uniform(), Rng(key, 50).uniform()).any()


def test_successive_draws_differ() -> None:
    rng = Rng(KEY, 50)
    assert not torch.isclose(rng.uniform(), rng.uniform()).any()


def test_the_global_generator_is_neither_read_nor_moved() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = Rng(KEY, 5).uniform()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(Rng(KEY, 5).uniform(), first)


def test_uniform_fills_its_range() -> None:
    draw = Rng(KEY, 20_000).uniform(low=-2.0, high=6.0)
    assert draw.dtype == torch.float32
    assert draw.shape == (20_000,)
    assert draw.min() >= -2
    assert draw.max() < 6
    torch.testing.assert_close(
        draw.quantile(torch.tensor([0.25, 0.5, 0.75])), torch.tensor([0.0, 2, 4]), atol=0.15, rtol=0
    )


def test_normal_has_unit_variance() -> None:
    draw = Rng(KEY, 20_000).normal()
    assert draw.dtype == torch.float32
    assert abs(draw.mean()) < 0.03
    assert abs(draw.std() - 1) < 0.03


def test_keys_of_different_length_draw_different_numbers() -> None:
    assert not torch.equal(Rng((3, 1), 10).uniform(), Rng((3, 1, 0), 10).uniform())
