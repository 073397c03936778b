"""CSTA-CNN: streams and layers against loops, the derived size, one joint. CSTA: see test_recalibration.py."""

from __future__ import annotations

import pytest
import torch
from skeletons import DOT
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ssl_skel.backbones.configs.csta_cnn import CSTACNNConfig
from ssl_skel.backbones.csta_cnn import CSTACNN, changes
from ssl_skel.layouts import LAYOUTS

SBU = LAYOUTS["sbu15"]


def convolve(image: Tensor, conv: nn.Conv2d) -> Tensor:
    """(C, H, W) -> (D, H, W), one place and tap at a time; zeros around."""
    (_, rows, columns), (high, wide) = image.shape, conv.weight.shape[2:]
    out = conv.bias[:, None, None].repeat(1, rows, columns)
    for t in range(rows):
        for v in range(columns):
            for i in range(high):
                for j in range(wide):
                    row, column = t + i - high // 2, v + j - wide // 2
                    if 0 <= row < rows and 0 <= column < columns:
                        out[:, t, v] += conv.weight[:, :, i, j] @ image[:, row, column]
    return out


def pool(image: Tensor, high: int, wide: int) -> Tensor:
    """The largest of each patch."""
    return torch.stack(
        [
            torch.stack(
                [image[:, t : t + high, v : v + wide].amax((1, 2)) for v in range(0, image.shape[2], wide)], 1
            )
            for t in range(0, image.shape[1], high)
        ],
        1,
    )  # fmt: skip


def test_changes_lie_between_their_frames() -> None:
    """T - 1 steps stretched to T: output t reads the steps at (t + 0.5) (T - 1) / T - 0.5, the ends held."""
    x = torch.randn(2, 3, 6, 4)
    steps = [x[:, :, t + 1] - x[:, :, t] for t in range(5)]
    out = changes(x)
    for t in range(6):
        at = min(max((t + 0.5) * 5 / 6 - 0.5, 0.0), 4.0)
        low = min(int(at), 3)
        torch.testing.assert_close(out[:, :, t], steps[low] * (low + 1 - at) + steps[low + 1] * (at - low))


def test_network_is_two_streams_whose_joints_become_channels() -> None:
    torch.manual_seed(0)
    net = CSTACNN(CSTACNNConfig(size="tiny"), SBU, 3, 8).eval()
    x = torch.randn(1, 3, 8, SBU.num_joints)
    both = []
    for stream, given in ((net.positions, x), (net.changes, changes(x))):
        image = convolve(stream.csta(given)[0], stream.joint[0]).clamp(min=0)
        image = convolve(image, stream.joint[2]).permute(2, 1, 0)  # (V, T, points)
        image = pool(convolve(image, stream.together[0]), 2, 2)
        both.append(pool(convolve(image, stream.together[2]), 2, 2))
    image = torch.cat(both)
    for layer in net.layers:
        image = convolve(image, layer[0]).clamp(min=0)
    torch.testing.assert_close(net(x)[0], image, rtol=1e-4, atol=1e-5)


def test_base_is_hcn_with_csta() -> None:
    """Counted by hand from HCN-pytorch, 32 points, without its two fully connected layers.

    CSTA a stream at T = 64 and 25 joints: two 1x1 convolutions to 16, 25 -> 6 -> 25 and 64 -> 16 -> 64.
    """
    net, head = CSTACNN(CSTACNNConfig(), LAYOUTS["ntu25"], 3, 64).eval(), nn.Linear(256, 60)
    csta = 2 * (3 * 16 + 16) + 25 * 6 + 6 + 6 * 25 + 25 + 64 * 16 + 16 + 16 * 64 + 64
    stream = 3 * 64 + 64 + 3 * 64 * 32 + 32 + 9 * 25 * 32 + 32 + 9 * 32 * 64 + 64
    joined = 9 * 128 * 128 + 128 + 9 * 128 * 256 + 256
    assert sum(w.numel() for w in net.parameters()) == 2 * (csta + stream) + joined + 3 * 25
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        head(net(torch.randn(1, 3, 64, 25)).mean((2, 3)))
    early = 64 * 25 * (2 * 3 * 16 + 3 * 64 + 3 * 64 * 32) + 2 * 25 * 6 + 2 * 64 * 16
    late = 64 * 32 * 9 * 25 * 32 + 32 * 16 * 9 * 32 * 64
    joined = 16 * 8 * 9 * 128 * 128 + 8 * 4 * 9 * 128 * 256
    assert counter.get_total_flops() == 2 * (2 * (early + late) + joined + 256 * 60)


def test_dropout_is_hcns_where_asked_for() -> None:
    off = CSTACNN(CSTACNNConfig(size="tiny"), SBU, 3, 16)
    on = CSTACNN(CSTACNNConfig(size="tiny", dropout=0.5), SBU, 3, 16)
    on.load_state_dict(off.state_dict())
    x = torch.randn(2, 3, 16, SBU.num_joints)
    assert torch.equal(off(x), off(x))
    assert not torch.equal(on(x), on(x))
    assert torch.equal(on.eval()(x), off.eval()(x))
    assert sum(isinstance(module, nn.Dropout2d) for module in on.modules()) == 4


@pytest.mark.parametrize(("size", "stride"), [("tiny", 4), ("small", 4), ("base", 16)])
def test_one_joint_few_frames_and_another_length(size: str, stride: int) -> None:
    for layout, times in ((DOT, 1), (DOT, 2), (SBU, 3)):
        net = CSTACNN(CSTACNNConfig.model_validate({"size": size}), layout, 2, stride)
        out = net(torch.randn(2, 2, times * stride, layout.num_joints))
        assert (net.t_stride, out.shape) == (stride, (2, net.dim, times, 2))
        out.sum().backward()
