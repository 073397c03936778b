"""Smooth warps of time, against one clip after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ssl_skel.batch import Rng
from ssl_skel.data.augment.config import TimeWarpConfig
from ssl_skel.data.augment.time import TimeWarp, warped_times
from ssl_skel.layouts import LAYOUTS

KEY = (4, 0, 7)
LAYOUT = LAYOUTS["sbu15"]


def ramp(n: int, frames: int) -> Tensor:
    """Clips whose coordinates are the number of the frame."""
    return torch.arange(float(frames))[:, None, None].expand(n, 3, frames, LAYOUT.num_joints, 2)


def warp(x: Tensor, **options: float | int) -> Tensor:
    return TimeWarp(TimeWarpConfig.model_validate(options), LAYOUT)(x, Rng(KEY, len(x)))


@pytest.mark.parametrize(("frames", "knots"), [(2, 4), (3, 2), (17, 4), (40, 7), (5, 9)])
def test_times_are_a_running_sum_of_speeds(frames: int, knots: int) -> None:
    logs = 0.6 * Rng(KEY, 3).normal(knots)
    x = torch.randn(3, 3, frames, LAYOUT.num_joints, 2, generator=torch.Generator().manual_seed(0))
    out = warp(x, strength=0.6, knots=knots)
    for clip in range(3):
        places = np.linspace(0, knots - 1, frames - 1)
        speed = np.exp(np.interp(places, np.arange(knots), logs[clip].double().numpy()))
        at = np.array([speed[:step].sum() for step in range(frames)]) / speed.sum() * (frames - 1)
        np.testing.assert_allclose(warped_times(logs, frames)[clip], at, atol=1e-4)
        for joint in range(LAYOUT.num_joints):
            track = x[clip, 1, :, joint, 1].double().numpy()
            np.testing.assert_allclose(out[clip, 1, :, joint, 1], np.interp(at, np.arange(frames), track), atol=1e-3)


@given(st.integers(0, 2**32 - 1), st.integers(2, 70), st.integers(2, 9), st.floats(0, 2))
def test_time_never_runs_backwards_and_its_ends_stay(seed: int, frames: int, knots: int, strength: float) -> None:
    at = warped_times(strength * Rng((seed,), 5).normal(knots), frames)
    assert at.shape == (5, frames)
    assert (at.diff() >= 0).all()
    assert torch.equal(at[:, 0], torch.zeros(5))
    assert torch.equal(at[:, -1], torch.full((5,), frames - 1.0))


def test_a_clip_keeps_its_first_and_last_frame_and_all_joints_are_warped_alike() -> None:
    out = warp(ramp(50, 30), strength=0.5)
    assert torch.equal(out[:, :, [0, -1]], ramp(50, 30)[:, :, [0, -1]])
    assert torch.equal(out, out[:, :1, :, :1, :1].expand_as(out))
    assert ((out - ramp(50, 30))[:, 0, 15, 0, 0].std() > 0.5).item()


def test_a_larger_strength_warps_more() -> None:
    x = ramp(200, 30)
    small, large = ((warp(x, strength=strength) - x).abs().mean() for strength in (0.1, 0.4))
    assert large > 3 * small > 0


@pytest.mark.parametrize("frames", [2, 3, 32, 50, 64])
def test_strength_zero_is_exactly_no_warp(frames: int) -> None:
    x = torch.randn(2, 3, frames, LAYOUT.num_joints, 1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(warp(x, strength=0.0), x)
