"""Streams against naive loops, and what they must not depend on."""

import math
from itertools import product
from typing import get_args

import pytest
import torch
from torch import Tensor

from ssl_skel.encoders.stream_names import Stream
from ssl_skel.encoders.streams import (
    STREAMS,
    bone,
    hop,
    motion,
    pair_distances,
    pose,
    pose_deviation,
    stream_channels,
    to_stream,
)
from ssl_skel.layouts import LAYOUTS, SkeletonLayout

PRESENT = torch.ones(2, 2, dtype=torch.bool)


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> SkeletonLayout:
    return LAYOUTS[request.param]


@pytest.fixture
def x(layout: SkeletonLayout) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 5, layout.num_joints, 2, generator=generator)


def test_bone_is_joint_minus_parent(x: Tensor, layout: SkeletonLayout) -> None:
    expected = torch.zeros_like(x)
    for child, parent in layout.bones:
        expected[:, :, :, child] = x[:, :, :, child] - x[:, :, :, parent]
    torch.testing.assert_close(bone(x, layout), expected, rtol=0, atol=0)


def test_bones_add_up_to_the_way_from_the_root(x: Tensor, layout: SkeletonLayout) -> None:
    bones = bone(x, layout)
    for joint in range(layout.num_joints):
        at, way = joint, torch.zeros_like(x[:, :, :, 0])
        while at != layout.root:
            way, at = way + bones[:, :, :, at], layout.parents[at]
        torch.testing.assert_close(way, x[:, :, :, joint] - x[:, :, :, layout.root])


def test_bones_do_not_depend_on_where_the_body_stands(x: Tensor, layout: SkeletonLayout) -> None:
    torch.testing.assert_close(bone(x + 1, layout), bone(x, layout), rtol=0, atol=1e-5)


def test_motion_is_next_frame_minus_this(x: Tensor) -> None:
    expected = torch.zeros_like(x)
    for frame in range(x.shape[2] - 1):
        expected[:, :, frame] = x[:, :, frame + 1] - x[:, :, frame]
    torch.testing.assert_close(motion(x), expected, rtol=0, atol=0)


def test_motion_of_one_frame_is_zero(x: Tensor) -> None:
    assert not motion(x[:, :, :1]).any()


def test_pose_is_joints_around_the_centre_and_the_path_of_the_centre(x: Tensor, layout: SkeletonLayout) -> None:
    got = pose(x, layout)
    for joint in range(layout.num_joints):
        expected = x[:, :, :, joint] - (0 if joint == layout.centre else x[:, :, :, layout.centre])
        torch.testing.assert_close(got[:, :, :, joint], expected, rtol=0, atol=0)
    shifted = pose(x + 1, layout) - got
    shifted[:, :, :, layout.centre] -= 1
    torch.testing.assert_close(shifted, torch.zeros_like(x), rtol=0, atol=1e-5)


def test_pose_deviation_is_the_pose_minus_what_it_is_on_average(x: Tensor, layout: SkeletonLayout) -> None:
    got, held = pose_deviation(x, layout), pose(x, layout)
    for person in range(2):
        for joint in range(layout.num_joints):
            way = held[..., joint, person]
            mean = torch.stack([way[:, :, t] for t in range(5)]).sum(0)[:, :, None] / 5
            torch.testing.assert_close(got[..., joint, person], way - mean)
    still = x[:, :, :1].expand_as(x)
    torch.testing.assert_close(pose_deviation(still, layout), torch.zeros_like(x), rtol=0, atol=1e-6)


def test_pair_distances_are_those_between_the_joints_of_two_persons() -> None:
    x = torch.randn(3, 3, 2, 4, 3, generator=torch.Generator().manual_seed(0))
    present = torch.tensor([[True, True, True], [True, True, False], [True, False, False]])
    got = pair_distances(x, present)
    assert got.shape == (3, 4, 2, 4, 3)
    for n, t, v, w, m in product(range(3), range(2), range(4), range(4), range(3)):
        other = 1 if m == 0 else 0
        apart = math.dist(x[n, :, t, v, m].tolist(), x[n, :, t, w, other].tolist())
        assert float(got[n, w, t, v, m]) == pytest.approx(apart if present[n, m] and present[n, other] else 0.0)


def test_whoever_is_alone_has_no_distances(x: Tensor) -> None:
    assert not pair_distances(x[..., :1], PRESENT[:, :1]).any()


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_hops_are_joints_around_their_ancestors(x: Tensor, layout: SkeletonLayout, hops: int) -> None:
    got = hop(x, layout, hops)
    for joint in range(layout.num_joints):
        at, left = joint, hops
        while left and at != layout.root:
            at, left = layout.parents[at], left - 1
        expected = x[:, :, :, joint] - (0 if left else x[:, :, :, at])
        torch.testing.assert_close(got[:, :, :, joint], expected, rtol=0, atol=0)


def test_hops_are_powers_of_the_child_to_parent_matrix(x: Tensor, layout: SkeletonLayout) -> None:
    """InfoGCN's (I - A^k) x."""
    matrix = torch.zeros(layout.num_joints, layout.num_joints)
    for child, parent in layout.bones:
        matrix[child, parent] = 1
    for hops in (1, 2):
        told = torch.eye(layout.num_joints) - torch.linalg.matrix_power(matrix, hops)
        got = to_stream(x, PRESENT, f"hop{hops}", layout)
        torch.testing.assert_close(got, torch.einsum("vu,nctum->nctvm", told, x))
    assert torch.equal(hop(x, layout, layout.num_joints), x)


def test_one_hop_is_the_bones_and_the_path_of_the_root(x: Tensor, layout: SkeletonLayout) -> None:
    got, bones = hop(x, layout, 1), bone(x, layout)
    bones[:, :, :, layout.root] = x[:, :, :, layout.root]
    assert torch.equal(got, bones)
    for hops in (1, 2):
        assert torch.equal(to_stream(x, PRESENT, f"hop{hops}_motion", layout), motion(hop(x, layout, hops)))


def test_bone_motion_is_the_motion_of_bones_and_the_bones_of_motion(x: Tensor, layout: SkeletonLayout) -> None:
    got = to_stream(x, PRESENT, "bone_motion", layout)
    torch.testing.assert_close(got, motion(bone(x, layout)), rtol=0, atol=0)
    torch.testing.assert_close(got, bone(motion(x), layout))


@pytest.mark.parametrize("stream", STREAMS)
def test_streams_have_their_channels_and_absent_persons_stay_zero(
    stream: str, x: Tensor, layout: SkeletonLayout
) -> None:
    x[..., 1] = 0
    before, present = x.clone(), torch.tensor([[True, False]] * 2)
    out = to_stream(x, present, stream, layout)
    channels = layout.num_joints if stream == "pair_distances" else 3
    assert stream_channels(stream, layout, 3) == channels
    assert out.shape == (2, channels, *x.shape[2:])
    assert not out[..., 1].any()
    assert torch.equal(x, before)


def test_joint_stream_is_the_input(x: Tensor, layout: SkeletonLayout) -> None:
    assert torch.equal(to_stream(x, PRESENT, "joint", layout), x)


def test_configs_name_the_rows() -> None:
    assert set(get_args(Stream)) == set(STREAMS)


def test_unknown_stream(x: Tensor, layout: SkeletonLayout) -> None:
    with pytest.raises(KeyError):
        to_stream(x, PRESENT, "bones", layout)
