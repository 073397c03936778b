"""Heat-maps: every pixel against the formula, the box, and what may not matter."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ssl_skel.backbones.heatmaps import SMALLEST_BOX, box, heat_maps

SIDE, SIGMA, PADDING = 9, 0.6, 0.25


def clip(channels: int = 3, frames: int = 4, joints: int = 5) -> Tensor:
    return torch.randn(2, channels, frames, joints, generator=torch.Generator().manual_seed(channels))


def some_hidden(x: Tensor) -> Tensor:
    hidden = torch.rand(2, *x.shape[2:], generator=torch.Generator().manual_seed(3)) < 0.4
    hidden[0, 1] = True
    return hidden


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_every_pixel_is_the_formula(channels: int, masked: bool) -> None:
    x = clip(channels)
    hidden = some_hidden(x) if masked else torch.zeros(2, 4, 5, dtype=torch.bool)
    maps = heat_maps(x, hidden if masked else None, SIDE)
    assert maps.shape == (2, 5, 4, SIDE, SIDE)
    right = 1 if channels == 3 else -1  # sets with two coordinates lie turned by half a turn
    for b in range(2):
        seen = [(t, v) for t in range(4) for v in range(5) if not hidden[b, t, v]]
        across = [right * x[b, 0, t, v].item() for t, v in seen]
        down = [-x[b, 1, t, v].item() for t, v in seen]
        middle = (min(across) + max(across)) / 2, (min(down) + max(down)) / 2
        length = max(max(across) - min(across), max(down) - min(down)) * (1 + PADDING)
        for t in range(4):
            for v in range(5):
                column = ((right * x[b, 0, t, v].item() - middle[0]) / length + 0.5) * SIDE
                row = ((-x[b, 1, t, v].item() - middle[1]) / length + 0.5) * SIDE
                for i in range(SIDE):
                    for j in range(SIDE):
                        square = (i + 0.5 - row) ** 2 + (j + 0.5 - column) ** 2
                        expected = 0.0 if hidden[b, t, v] else math.exp(-square / (2 * SIGMA**2))
                        assert maps[b, v, t, i, j].item() == pytest.approx(expected, abs=2e-5)


def test_a_raised_hand_is_at_the_top_and_the_right_one_on_the_right() -> None:
    """As in the picture of a Kinect, which shows a mirror image; joints: right hand up, left foot."""
    x = torch.tensor([[0.5, -0.5], [1.0, -1.0], [2.0, 3.0]]).view(1, 3, 1, 2)
    hand, foot = (divmod(int(one.argmax()), 16) for one in heat_maps(x, None, 16)[0, :, 0])
    assert hand[0] < foot[0]
    assert hand[1] > foot[1]


def test_the_box_is_the_visible_joints_widened() -> None:
    """At the edge of the tight box a joint is 0.1 sides from the picture's edge: 0.5 - 0.5 / 1.25."""
    x = torch.tensor([[0.0, 8.0, 100.0], [0.0, 4.0, 100.0], [0.0, 0.0, 0.0]]).view(1, 3, 1, 3)
    hidden = torch.tensor([[[False, False, True]]])
    maps = heat_maps(x, hidden, 100)[0, :, 0]
    assert divmod(int(maps[0].argmax()), 100)[1] in (9, 10)
    assert divmod(int(maps[1].argmax()), 100)[1] in (89, 90)
    assert not maps[2].any()


def test_what_is_hidden_does_not_matter_even_if_it_is_not_finite() -> None:
    x = clip()
    hidden = some_hidden(x)
    where = hidden[:, None].expand_as(x)
    expected = heat_maps(x, hidden, SIDE)
    for fill in (1e6, math.nan, math.inf):
        assert torch.equal(heat_maps(x.masked_fill(where, fill), hidden, SIDE), expected)
    assert not expected.permute(0, 2, 1, 3, 4)[hidden].any()
    assert expected.permute(0, 2, 1, 3, 4)[~hidden].amax((1, 2)).min() > 0.2


def test_place_size_and_depth_are_lost() -> None:
    x = clip()
    shift = torch.tensor([3.0, -2.0, 9.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(heat_maps(4 * x + shift, None, SIDE), heat_maps(x, None, SIDE), rtol=1e-3, atol=1e-4)


def test_a_clip_does_not_depend_on_the_others() -> None:
    x = clip()
    assert torch.equal(heat_maps(x[1:], None, SIDE), heat_maps(x, None, SIDE)[1:])


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_stride_draws_fewer_frames_in_the_same_box(stride: int) -> None:
    x = clip()
    hidden = some_hidden(x)
    assert torch.equal(heat_maps(x, hidden, SIDE, stride=stride), heat_maps(x, hidden, SIDE)[:, :, ::stride])


def test_one_point_is_drawn_in_the_middle_and_nobody_not_at_all() -> None:
    x = torch.full((1, 3, 1, 1), 7.0)
    maps = heat_maps(x, None, SIDE)
    assert int(maps.argmax()) == SIDE * SIDE // 2
    assert maps.max() == 1
    everything = torch.ones(1, 1, 1, dtype=torch.bool)
    assert not heat_maps(x, everything, SIDE).any()
    centre, half = box(x[:, :2].permute(0, 2, 3, 1), everything)
    assert centre.flatten().tolist() == [0, 0]
    assert half.item() == pytest.approx(SMALLEST_BOX)


def test_positions_keep_float32_whatever_the_precision_of_the_input() -> None:
    x = clip() + 100
    with torch.autocast("cpu", torch.bfloat16):
        maps = heat_maps(x, None, SIDE)
    assert maps.dtype == torch.float32
    assert torch.equal(maps, heat_maps(x, None, SIDE))
    assert torch.equal(heat_maps(x.bfloat16(), None, SIDE), heat_maps(x.bfloat16().float(), None, SIDE))
