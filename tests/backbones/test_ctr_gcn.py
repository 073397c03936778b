"""CTR-GCN: topology refinement against a loop that follows the paper, its layers, and the budget."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ssl_skel.backbones.configs.graph import CTRGCNConfig
from ssl_skel.backbones.ctr_gcn import CTRGC, CTRGCN, Space
from ssl_skel.layouts import LAYOUTS

SBU = LAYOUTS["sbu15"]


def test_topology_refinement_is_the_equations() -> None:
    """Eqs. 3-8, one graph, channel and pair of joints at a time; means over time after W1 and W2, as printed."""
    torch.manual_seed(0)
    joints, frames, dim, low = SBU.num_joints, 6, 4, 8
    layer, x = CTRGC(5, dim, SBU), torch.randn(2, 5, frames, joints)
    nn.init.constant_(layer.alpha, 0.7)
    for values in (layer.graph, layer.ends.bias, layer.refine.bias, layer.project.bias):
        nn.init.normal_(values)
    one, two = layer.ends.weight[:, :, 0].view(2, 3, low, 5)
    shift_one, shift_two = layer.ends.bias.view(2, 3, low)
    expected = torch.zeros(2, dim, frames, joints)
    for b in range(2):
        for k in range(3):
            first = torch.stack([one[k] @ x[b, :, t] + shift_one[k][:, None] for t in range(frames)]).mean(0)
            second = torch.stack([two[k] @ x[b, :, t] + shift_two[k][:, None] for t in range(frames)]).mean(0)
            for d in range(dim):
                third = layer.project.weight[3 * d + k] @ x[b].flatten(1) + layer.project.bias[3 * d + k]
                third = third.view(frames, joints)
                for i in range(joints):
                    for j in range(joints):
                        seen = torch.tanh(first[:, i] - second[:, j])
                        refined = layer.refine.weight[3 * d + k] @ seen + layer.refine.bias[3 * d + k]
                        expected[b, d, :, i] += (layer.graph[k, i, j] + layer.alpha * refined) * third[:, j]
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_graphs_start_from_the_skeleton_and_hardly_refined() -> None:
    torch.manual_seed(0)
    layer, x = CTRGC(4, 4, SBU), torch.randn(1, 4, 3, SBU.num_joints)
    j = SBU.joints.index("left_elbow")
    at = [j, SBU.joints.index("left_hand"), SBU.joints.index("left_shoulder")]  # itself, its child, its parent
    values = nn.functional.linear(x.permute(0, 2, 3, 1), layer.project.weight, layer.project.bias).unflatten(3, (4, 3))
    expected = sum(values[:, :, i, :, k] for k, i in enumerate(at))
    torch.testing.assert_close(layer(x)[..., j].transpose(1, 2), expected, rtol=1e-4, atol=1e-4)


def test_space_is_convolution_norm_residual_relu() -> None:
    torch.manual_seed(0)
    space, x = Space(nn.Conv2d(4, 8, 1), 4, 8), torch.randn(2, 4, 3, 5)
    torch.testing.assert_close(space(x), space.around(x).relu(), rtol=0, atol=1e-4)  # a fresh layer
    nn.init.constant_(space.norm.weight, 0.5)
    space.eval()
    normed = 0.5 * (space.convolve(x) - space.norm.running_mean[:, None, None])
    normed = normed / (space.norm.running_var + 1e-5).sqrt()[:, None, None]
    torch.testing.assert_close(space(x), (normed + space.around(x)).relu())


def test_weights_start_as_in_the_release() -> None:
    """model/ctrgcn.py, conv_init and weights_init; in the release each graph has convolutions of its own."""
    torch.manual_seed(0)
    net = CTRGCN(CTRGCNConfig(), SBU, 3, 16)
    spatial = net.layers[1].space.convolve
    first, around = net.layers[0].time.branches[0], net.layers[4].around[0]
    for layer, outputs in ((spatial.ends, 8), (spatial.refine, 64), (spatial.project, 64), (around, 128)):
        assert abs(layer.weight.std() / (2 / outputs) ** 0.5 - 1) < 0.1
        assert not layer.bias.any()
    assert abs(first[3].weight.std() / (2 / (16 * 5)) ** 0.5 - 1) < 0.1  # 16 channels, 5 frames
    assert not first[3].bias.any()


def test_base_has_the_published_size() -> None:
    """1.46 M parameters and 1.97 GFLOPs (CTR-GCN, Table 5), within 10 %.

    A multiply-add is one operation; two persons, 64 frames and 25 joints; the 60-class head is included.
    """
    net = CTRGCN(CTRGCNConfig(), LAYOUTS["ntu25"], 3, 64).eval()
    head = nn.Linear(net.dim, 60)
    parameters = sum(weight.numel() for weight in [*net.parameters(), *head.parameters()])
    assert abs(parameters / 1.46e6 - 1) < 0.1
    with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
        head.to("meta")(net.to("meta")(torch.empty(2, 3, 64, 25)).mean((2, 3)))
    assert abs(counter.get_total_flops() / 2 / 1.97e9 - 1) < 0.1


def test_base_has_the_papers_layers() -> None:
    net = CTRGCN(CTRGCNConfig(), LAYOUTS["ntu25"], 3, 64)
    assert [layer.space.norm.num_features for layer in net.layers] == [64] * 4 + [128] * 3 + [256] * 3
    assert [layer.time.branches[3][0].stride[0] for layer in net.layers] == [1, 1, 1, 1, 2, 1, 1, 2, 1, 1]
    assert [layer.space.convolve.refine.in_features for layer in net.layers] == [8] * 5 + [16] * 3 + [32] * 2
    assert [layer.around is None for layer in net.layers] == [True] + [False] * 9
    assert net.t_stride == 4
