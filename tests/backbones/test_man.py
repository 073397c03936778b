"""MAN: its blocks against loops, the derived size, one joint and few frames. TARM: see test_recalibration.py."""

from __future__ import annotations

import pytest
import torch
from skeletons import DOT
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ssl_skel.backbones.configs.man import MANConfig
from ssl_skel.backbones.man import MAN, Block
from ssl_skel.layouts import LAYOUTS

SBU = LAYOUTS["sbu15"]


def convolve(image: Tensor, weight: Tensor, stride: int) -> Tensor:
    """(C, T, V) -> (D, ceil(T / stride), ceil(V / stride)), one place and tap at a time; zeros around."""
    (_, rows, columns), size = image.shape, weight.shape[2]
    out = torch.zeros(len(weight), -(-rows // stride), -(-columns // stride))
    for t in range(out.shape[1]):
        for v in range(out.shape[2]):
            for i in range(size):
                for j in range(size):
                    row, column = t * stride + i - size // 2, v * stride + j - size // 2
                    if 0 <= row < rows and 0 <= column < columns:
                        out[:, t, v] += weight[:, :, i, j] @ image[:, row, column]
    return out


def normed(x: Tensor) -> Tensor:
    """A fresh BatchNorm in eval mode, then ReLU."""
    return (x / (1 + 1e-5) ** 0.5).clamp(min=0)


@pytest.mark.parametrize(("dim_in", "dim", "stride", "after"), [(4, 4, 1, True), (4, 4, 1, False), (4, 6, 2, False)])
def test_block_is_norm_relu_convolution_twice_beside_the_input(dim_in: int, dim: int, stride: int, after: bool) -> None:
    torch.manual_seed(0)
    block = Block(dim_in, dim, stride, normed=after).eval()
    x = torch.randn(1, dim_in, 4, 5)
    inside = convolve(x[0] if after else normed(x[0]), block.convs[0].weight, stride)
    beside = x[0] if isinstance(block.skip, nn.Identity) else convolve(x[0], block.skip.weight, stride)
    torch.testing.assert_close(block(x)[0], convolve(normed(inside), block.convs[3].weight, 1) + beside)


def test_network_is_tarm_stem_blocks_and_a_last_norm() -> None:
    torch.manual_seed(0)
    net = MAN(MANConfig(size="tiny"), SBU, 3, 8).eval()
    x = torch.randn(2, 3, 8, SBU.num_joints)
    out = net(x)
    for row in range(2):
        image = normed(convolve(net.tarm(x)[row], net.stem[0].weight, 2))
        for block in net.blocks:
            image = block(image[None])[0]
        torch.testing.assert_close(out[row], normed(image), rtol=1e-4, atol=1e-5)


def test_base_is_mans_9() -> None:
    """Counted by hand from the released code, biases of convolutions aside; multiply-adds of the matrices alone.

    Per coordinate at T = 64 and 25 joints: linear there and back, a GRU each way, 64 -> 4 -> 64.
    """
    net, head = MAN(MANConfig(), LAYOUTS["ntu25"], 3, 64).eval(), nn.Linear(128, 60)
    linear, gru, weigh = 25 * 64 + 64 + 64 * 25 + 25, 2 * 3 * (2 * 64 * 64 + 2 * 64), 64 * 4 + 4 + 4 * 64 + 64
    square = 9 * 64 * 64
    convs = 25 * 3 * 64 + 4 * square + 2 * square + 3 * 4 * square + 64 * 128
    norms = 2 * (64 * 5 + 128 * 4)
    tokens = 3 * 25
    assert sum(w.numel() for w in net.parameters()) == 3 * (linear + gru + weigh) + convs + norms + tokens
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        head(net(torch.randn(1, 3, 64, 25)).mean((2, 3)))
    tarm = 3 * (64 * (2 * 25 * 64 + 2 * 3 * 2 * 64 * 64) + 2 * 64 * 4)
    image = 32 * 13 * (25 * 3 * 64 + 4 * square) + 16 * 7 * (2 * square + 3 * 4 * square + 64 * 128)
    assert abs(counter.get_total_flops() / 2 / (tarm + image + 128 * 60) - 1) < 0.01
    assert [net.stem[0].stride[0], *(block.convs[0].stride[0] for block in net.blocks)] == [2, 1, 1, 2, 1]
    assert [isinstance(block.enter, nn.Identity) for block in net.blocks] == [True, False, False, False]


def test_one_joint_few_frames_and_another_length() -> None:
    for layout, frames in ((DOT, 4), (DOT, 8), (SBU, 12)):
        net = MAN(MANConfig(size="tiny"), layout, 2, 4)
        out = net(torch.randn(2, 2, frames, layout.num_joints))
        assert out.shape == (2, net.dim, frames // 4, -(-layout.num_joints // 4))
        out.sum().backward()
