"""Extents against naive loops, and what they must not depend on."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from ssl_skel.encoders.extents import to_extent
from ssl_skel.encoders.stream_names import Extent
from ssl_skel.layouts import LAYOUTS, SkeletonLayout

LAYOUT = LAYOUTS["sbu15"]
SCORED = LAYOUTS["coco17"].with_score()
PLACING = [extent for extent in get_args(Extent) if extent != "none"]


def clips(layout: SkeletonLayout = LAYOUT, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Two clips far from the origin, the second of one person; a third without anyone."""
    x = 5 + torch.randn(3, channels, 6, layout.num_joints, 2, generator=torch.Generator().manual_seed(0))
    present = torch.tensor([[True, True], [True, False], [False, False]])
    return x * present[:, None, None, None], present


def naive(x: Tensor, present: Tensor, extent: Extent, layout: SkeletonLayout) -> Tensor:
    out, count = x.clone(), layout.coordinates(x.shape[1])
    frames, joints = x.shape[2:4]
    for n in range(len(x)):
        seen = [
            x[n, :count, t, v, m]
            for m in range(x.shape[4])
            for t in range(frames)
            for v in range(joints)
            if present[n, m] and (not layout.score or x[n, count, t, v, m] > 0)
        ]
        if not seen:
            continue
        low = [min(float(place[c]) for place in seen) for c in range(count)]
        high = [max(float(place[c]) for place in seen) for c in range(count)]
        longest = max(high[c] - low[c] for c in range(count))
        for c in range(count):
            edge = longest if extent == "box" else (high[c] - low[c]) / 2
            out[n, c] = (x[n, c] - (low[c] + high[c]) / 2) / edge * present[n]
    return out


@pytest.mark.parametrize("extent", PLACING)
def test_a_clip_is_placed_by_all_its_seen_joints_frames_and_persons(extent: Extent) -> None:
    x, present = clips()
    torch.testing.assert_close(to_extent(x, present, extent, LAYOUT), naive(x, present, extent, LAYOUT))


@pytest.mark.parametrize("extent", PLACING)
def test_joints_of_score_zero_do_not_count_and_scores_stay(extent: Extent) -> None:
    x, present = clips(SCORED)
    x[:, 2] = torch.rand(x[:, 2].shape, generator=torch.Generator().manual_seed(1)) * present[:, None, None]
    x[0, :2, 3, 4], x[0, 2, 3, 4] = 1e4, 0
    x[1, 2] = 0  # a person, and no joint of them found
    got = to_extent(x, present, extent, SCORED)
    torch.testing.assert_close(got, naive(x, present, extent, SCORED))
    assert torch.equal(got[:, 2], x[:, 2])


def test_the_box_keeps_shapes_and_axes_fill_their_range() -> None:
    x, present = clips()
    box, axis = (to_extent(x, present, extent, LAYOUT)[:2] for extent in PLACING)
    for n in range(2):
        there, was = box[n][..., present[n]], x[n][..., present[n]]
        size = there.flatten(1).amax(1) - there.flatten(1).amin(1)
        torch.testing.assert_close(size.max(), torch.tensor(1.0))
        torch.testing.assert_close(there.flatten(1).amax(1), -there.flatten(1).amin(1), atol=1e-5, rtol=0)
        ratio = (there[:, 1:] - there[:, :-1]) / (was[:, 1:] - was[:, :-1])
        torch.testing.assert_close(ratio, torch.full_like(ratio, float(ratio.flatten()[0])), rtol=1e-2, atol=1e-3)
        ends = axis[n][..., present[n]].flatten(1)
        torch.testing.assert_close(ends.amax(1), torch.ones(3))
        torch.testing.assert_close(ends.amin(1), -torch.ones(3))


@pytest.mark.parametrize("extent", PLACING)
def test_neither_place_nor_size_nor_who_is_absent_matters(extent: Extent) -> None:
    x, present = clips()
    here = to_extent(x, present, extent, LAYOUT)
    moved = torch.where(present[:, None, None, None], 3 * x - 7, torch.randn_like(x))
    torch.testing.assert_close(to_extent(moved, present, extent, LAYOUT), here, atol=1e-5, rtol=1e-4)
    assert not here[1, ..., 1].any()
    assert not here[2].any()


@pytest.mark.parametrize("extent", PLACING)
def test_one_point_lies_at_the_origin_and_a_plane_stays_one(extent: Extent) -> None:
    x, present = clips()
    assert not to_extent(torch.full_like(x, 2.0), present, extent, LAYOUT).any()
    x[:, 2] = 4.0
    flat = to_extent(x, present, extent, LAYOUT)
    assert not flat[:, 2].any()
    assert flat[0, :2].any()


def test_none_is_the_joints() -> None:
    x, present = clips()
    assert to_extent(x, present, "none", LAYOUT) is x
