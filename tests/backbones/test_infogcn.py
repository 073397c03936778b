"""InfoGCN: attention over learned graphs against a loop that follows the paper, its layers, and the budget."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ssl_skel.backbones.configs.graph import InfoGCNConfig
from ssl_skel.backbones.infogcn import SAGC, InfoGCN
from ssl_skel.layouts import LAYOUTS

SBU = LAYOUTS["sbu15"]


def test_attention_over_a_learned_graph_is_the_equations() -> None:
    """One frame, head and pair of joints at a time."""
    torch.manual_seed(0)
    joints, heads, dim_in, dim, width = SBU.num_joints, 2, 16, 4, 2
    layer, x = SAGC(dim_in, dim, heads, SBU), torch.randn(2, dim_in, 3, joints)
    torch.testing.assert_close(layer.topology, torch.eye(joints).repeat(heads, 1, 1))
    nn.init.normal_(layer.topology)
    nn.init.normal_(layer.norm.weight)
    project = layer.project.weight.view(heads, dim, dim_in)
    expected = torch.zeros(2, dim, 3, joints)
    for b in range(2):
        for t in range(3):
            tokens = [x[b, :, t, v] for v in range(joints)]
            pairs = [layer.query_key(layer.norm(token)).view(2, heads, width) for token in tokens]
            for h in range(heads):
                for i in range(joints):
                    scores = [pairs[i][0, h].dot(pairs[j][1, h]) / math.sqrt(width) for j in range(joints)]
                    share = torch.stack(scores).softmax(0)
                    mixed = sum(share[j] * layer.topology[h, i, j] * tokens[j] for j in range(joints))
                    expected[b, :, t, i] += project[h] @ mixed
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_a_layer_is_attention_then_several_time_scales_and_relu() -> None:
    torch.manual_seed(0)
    net = InfoGCN(InfoGCNConfig(size="tiny"), SBU, 3, 8).eval()
    layer, x = net.layers[1], torch.randn(2, 16, 8, SBU.num_joints)
    nn.init.constant_(layer.space.norm.weight, 1.0)
    space = (layer.space.norm(layer.space.convolve(x)) + x).relu()
    expected = (layer.time[0](space).relu() + layer.around(x)).relu()
    torch.testing.assert_close(layer(x), expected)


def test_base_has_the_released_size() -> None:
    """1.557 M parameters (released code, 60 classes, its head and latent layers among them), within 10 %.

    Multiply-adds of two persons, 64 frames and 25 joints: 1.81 G, as follows from the layers of the released code.
    """
    net = InfoGCN(InfoGCNConfig(), LAYOUTS["ntu25"], 3, 64).eval()
    latent = [nn.Linear(256, 256) for _ in range(3)] + [nn.Linear(256, 60)]
    parameters = sum(weight.numel() for part in [net, *latent] for weight in part.parameters())
    assert abs(parameters / 1.557e6 - 1) < 0.1
    with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
        net.to("meta")(torch.empty(2, 3, 64, 25))
    assert abs(derived_work() / 1.81e9 - 1) < 0.01
    assert abs(counter.get_total_flops() / 2 / derived_work() - 1) < 0.01


def derived_work() -> float:
    """Multiply-adds of two persons, layer by layer, from the sizes in the released code."""
    joints, frames, dim_in = 25, 64, 64
    total = 3 * 64 * frames * joints
    for dim, stride in [(64, 1)] * 3 + [(128, 2)] + [(128, 1)] * 2 + [(256, 2)] + [(256, 1)] * 2:
        low, quarter, out = dim_in // 8, dim // 4, frames // stride
        token = 2 * 3 * low * dim_in + 3 * low * joints  # queries and keys, then scores
        token += 3 * joints * dim + 3 * dim_in * dim  # graphs, then their weights
        token += dim_in * dim * (dim_in != dim)  # residual
        total += frames * joints * (token + 3 * dim * quarter)  # and into three branches in time
        total += out * joints * (2 * 5 * quarter**2 + dim * quarter + dim_in * dim * (dim_in != dim))
        dim_in, frames = dim, out
    return 2.0 * total


def test_base_has_the_released_layers() -> None:
    net = InfoGCN(InfoGCNConfig(), LAYOUTS["ntu25"], 3, 64)
    assert [layer.space.norm.num_features for layer in net.layers] == [64] * 3 + [128] * 3 + [256] * 3
    assert [layer.time[0].branches[3][0].stride[0] for layer in net.layers] == [1, 1, 1, 2, 1, 1, 2, 1, 1]
    assert [layer.space.convolve.query_key.out_features for layer in net.layers] == [48] * 4 + [96] * 3 + [192] * 2
    assert all(layer.around is not None for layer in net.layers)
    assert net.stem.lift.out_features == 64
    assert net.t_stride == 4
