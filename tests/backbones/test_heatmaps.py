"""Heat-maps: every pixel against the formula, the box, and what may not matter."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ssl_skel.backbones.heatmaps import SMALLEST_BOX, box, heat_maps
from ssl_skel.data.readers.mediapipe import MediaPipeReader

SIDE, SIGMA, PADDING = 9, 0.6, 0.25
draw = partial(heat_maps, mirrored=True)


def clip(channels: int = 3, frames: int = 4, joints: int = 5) -> Tensor:
    return torch.randn(2, channels, frames, joints, generator=torch.Generator().manual_seed(channels))


def some_hidden(x: Tensor) -> Tensor:
    hidden = torch.rand(2, *x.shape[2:], generator=torch.Generator().manual_seed(3)) < 0.4
    hidden[0, 1] = True
    return hidden


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_every_pixel_is_the_formula(mirrored: bool, masked: bool) -> None:
    x = clip()
    hidden = some_hidden(x) if masked else torch.zeros(2, 4, 5, dtype=torch.bool)
    maps = heat_maps(x, hidden if masked else None, SIDE, mirrored=mirrored)
    assert maps.shape == (2, 5, 4, SIDE, SIDE)
    right = 1 if mirrored else -1
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
    hand, foot = (divmod(int(one.argmax()), 16) for one in draw(x, None, 16)[0, :, 0])
    assert hand[0] < foot[0]
    assert hand[1] > foot[1]


def test_what_mediapipe_found_is_drawn_where_the_picture_had_it(tmp_path: Path) -> None:
    """World landmarks have x to the right and y down, as the picture; the nose is up, the left heel low and right."""
    landmarks = [{"x": 0.0, "y": 0.0, "z": 0.0} for _ in range(33)]
    landmarks[0] |= {"x": -0.2, "y": -0.6}
    landmarks[29] |= {"x": 0.3, "y": 0.9}
    (tmp_path / "wave").mkdir()
    path = tmp_path / "wave" / "one.json"
    path.write_text(json.dumps([{"pose_world_landmarks": landmarks}] * 2))
    (raw,) = MediaPipeReader(tmp_path).read(path)
    x = torch.from_numpy(raw.joints[0]).permute(2, 0, 1)[None]  # (1, 3, T, V)
    nose, heel = (divmod(int(heat_maps(x, None, 32, mirrored=False)[0, v, 0].argmax()), 32) for v in (0, 29))
    assert nose[0] < 16 < heel[0]
    assert nose[1] < 16 < heel[1]


def test_the_box_is_the_visible_joints_widened() -> None:
    """At the edge of the tight box a joint is 0.1 sides from the picture's edge: 0.5 - 0.5 / 1.25."""
    x = torch.tensor([[0.0, 8.0, 100.0], [0.0, 4.0, 100.0], [0.0, 0.0, 0.0]]).view(1, 3, 1, 3)
    hidden = torch.tensor([[[False, False, True]]])
    maps = draw(x, hidden, 100)[0, :, 0]
    assert divmod(int(maps[0].argmax()), 100)[1] in (9, 10)
    assert divmod(int(maps[1].argmax()), 100)[1] in (89, 90)
    assert not maps[2].any()


def test_what_is_hidden_does_not_matter_even_if_it_is_not_finite() -> None:
    x = clip()
    hidden = some_hidden(x)
    where = hidden[:, None].expand_as(x)
    expected = draw(x, hidden, SIDE)
    for fill in (1e6, math.nan, math.inf):
        assert torch.equal(draw(x.masked_fill(where, fill), hidden, SIDE), expected)
    assert not expected.permute(0, 2, 1, 3, 4)[hidden].any()
    assert expected.permute(0, 2, 1, 3, 4)[~hidden].amax((1, 2)).min() > 0.2


def test_place_size_and_depth_are_lost() -> None:
    x = clip()
    shift = torch.tensor([3.0, -2.0, 9.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(draw(4 * x + shift, None, SIDE), draw(x, None, SIDE), rtol=1e-3, atol=1e-4)


def test_a_clip_does_not_depend_on_the_others() -> None:
    x = clip()
    assert torch.equal(draw(x[1:], None, SIDE), draw(x, None, SIDE)[1:])


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_stride_draws_fewer_frames_in_the_same_box(stride: int) -> None:
    x = clip()
    hidden = some_hidden(x)
    assert torch.equal(draw(x, hidden, SIDE, stride=stride), draw(x, hidden, SIDE)[:, :, ::stride])


def test_one_point_is_drawn_in_the_middle_and_nobody_not_at_all() -> None:
    x = torch.full((1, 3, 1, 1), 7.0)
    maps = draw(x, None, SIDE)
    assert int(maps.argmax()) == SIDE * SIDE // 2
    assert maps.max() == 1
    everything = torch.ones(1, 1, 1, dtype=torch.bool)
    assert not draw(x, everything, SIDE).any()
    centre, half = box(x[:, :2].permute(0, 2, 3, 1), everything)
    assert centre.flatten().tolist() == [0, 0]
    assert half.item() == pytest.approx(SMALLEST_BOX)


def test_positions_keep_float32_whatever_the_precision_of_the_input() -> None:
    x = clip() + 100
    with torch.autocast("cpu", torch.bfloat16):
        maps = draw(x, None, SIDE)
    assert maps.dtype == torch.float32
    assert torch.equal(maps, draw(x, None, SIDE))
    assert torch.equal(draw(x.bfloat16(), None, SIDE), draw(x.bfloat16().float(), None, SIDE))
