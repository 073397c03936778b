"""TCN: its blocks against loops, what a frame sees, the derived size."""

from __future__ import annotations

import pytest
import torch
from skeletons import DOT
from torch import Tensor

from ssl_skel.backbones.configs.tcn import SIZES, TCNConfig
from ssl_skel.backbones.tcn import TCN, TemporalBlock
from ssl_skel.layouts import LAYOUTS

SBU = LAYOUTS["sbu15"]
FRESH = (1 + 1e-5) ** -0.5
"""What a BatchNorm that has seen nothing multiplies by."""


def convolve(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """(C, T) -> (D, T), one frame and tap at a time; zeros outside the clip."""
    out = torch.zeros(len(weight), x.shape[1])
    for t in range(x.shape[1]):
        for tap in (-1, 0, 1):
            if 0 <= t + tap * dilation < x.shape[1]:
                out[:, t] += weight[:, :, tap + 1] @ x[:, t + tap * dilation]
    return out


def block_by_loop(x: Tensor, block: TemporalBlock, dilation: int) -> Tensor:
    inside = (convolve(x, block.convs[0].weight, dilation) * FRESH).clamp(min=0)
    return (x + convolve(inside, block.convs[3].weight, dilation) * FRESH).clamp(min=0)


@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_a_block_is_two_dilated_convolutions_beside_the_identity(dilation: int) -> None:
    torch.manual_seed(0)
    block = TemporalBlock(5, dilation).eval()
    x = torch.randn(2, 5, 11)
    expected = torch.stack([block_by_loop(row, block, dilation) for row in x])
    torch.testing.assert_close(block(x), expected)


def test_the_network_is_frames_as_vectors_then_its_blocks() -> None:
    torch.manual_seed(0)
    net = TCN(TCNConfig(size="tiny"), SBU, 3, 9).eval()
    linear, dilations = net.enter[1], SIZES["tiny"].dilations
    x = torch.randn(2, 3, 9, SBU.num_joints)
    for row, out in zip(x, net(x), strict=True):
        frames = [linear.weight[..., 0] @ (row[:, t].flatten() * FRESH) + linear.bias for t in range(9)]
        expected = torch.stack(frames, 1)
        for block, dilation in zip(net.blocks, dilations, strict=True):
            expected = block_by_loop(expected, block, dilation)
        torch.testing.assert_close(out[..., 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_sees_as_far_ahead_as_back(size: str) -> None:
    """Twice the sum of the dilations each way: 14 frames in ``small`` and ``base``."""
    net = TCN(TCNConfig(size=size), DOT, 2, 40).eval()
    x = torch.randn(1, 2, 40, 1, generator=torch.Generator().manual_seed(0)).requires_grad_()
    net(x)[:, :, 20].sum().backward()
    seen = x.grad.abs().sum((0, 1, 3)).nonzero()[:, 0].tolist()
    reach = 2 * sum(SIZES[size].dilations)
    assert (seen[0], seen[-1]) == (20 - reach, 20 + reach)


def test_base_has_as_many_weights_as_its_shapes_say() -> None:
    values, width = 3 * 25, 128
    enter = 2 * values + values * width + width
    blocks = 3 * 2 * (3 * width * width + 2 * width)
    net = TCN(TCNConfig(), LAYOUTS["ntu25"], 3, 64)
    assert sum(w.numel() for w in net.parameters()) == values + enter + blocks


def test_one_joint_one_frame_and_another_length() -> None:
    for layout, frames in ((DOT, 1), (DOT, 8), (SBU, 13)):
        net = TCN(TCNConfig(size="tiny"), layout, 2, 4)
        out = net(torch.randn(2, 2, frames, layout.num_joints))
        assert out.shape == (2, net.dim, frames, 1)
        out.sum().backward()
