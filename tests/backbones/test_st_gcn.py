"""ST-GCN: its convolutions against loops, the frame that its descendants share, and the budget."""

from __future__ import annotations

import pytest
import torch
from skeletons import DOT, HAND
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.configs.graph import GraphNetConfig, STGCNConfig
from ssl_skel.backbones.st_gcn import STGCN, Layer, SpatialConv, Stem, residual
from ssl_skel.config import parse_config
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout

SBU = LAYOUTS["sbu15"]
FAMILY = [row for row, network in BACKBONES.items() if issubclass(network.Config, GraphNetConfig)]


def test_spatial_convolution_is_the_equation() -> None:
    """Eq. 10, one joint and neighbour at a time; the subset by who is whose parent."""
    torch.manual_seed(0)
    layer, x = SpatialConv(3, 4, SBU), torch.randn(2, 3, 5, SBU.num_joints)
    nn.init.uniform_(layer.importance)
    weight, bias = layer.project.weight.view(3, 4, 3), layer.project.bias.view(3, 4)
    expected = torch.zeros(2, 4, 5, SBU.num_joints)
    for j in range(SBU.num_joints):
        near = [i for i in range(SBU.num_joints) if i == j or SBU.parents[i] == j or SBU.parents[j] == i]
        for i in near:
            k = 0 if i == j else 1 if SBU.parents[i] == j else 2
            told = torch.einsum("oc,bct->bot", weight[k], x[..., i]) + bias[k][:, None]
            expected[..., j] += layer.importance[k, j, i] / len(near) * told
    torch.testing.assert_close(layer(x), expected)


def test_time_is_norm_relu_convolution_norm_with_a_strided_residual() -> None:
    torch.manual_seed(0)
    net = STGCN(STGCNConfig(channels=(4, 6), strides=(1, 2), kernel=3), SBU, 3, 8).eval()
    first, second = net.layers
    assert first.around is None
    x = torch.randn(1, 4, 8, SBU.num_joints)
    scale = (1 + 1e-5) ** -0.5  # of a fresh BatchNorm in eval mode
    low, conv, skip = (second.space(x) * scale).relu(), second.time[2], second.around[0]
    for t in range(4):
        total = conv.bias[:, None] + sum(
            conv.weight[:, :, tap, 0] @ low[0, :, 2 * t + tap - 1] for tap in range(3) if 0 <= 2 * t + tap - 1 < 8
        )
        around = skip.weight[:, :, 0, 0] @ x[0, :, 2 * t] + skip.bias[:, None]
        torch.testing.assert_close(second(x)[0, :, t], ((total + around) * scale).relu())


def test_a_layer_is_space_then_time_around_which_goes_the_residual() -> None:
    x = torch.randn(2, 4, 4, 3)
    layer = Layer(nn.Hardtanh(0, 1), nn.AvgPool2d((2, 1)), nn.MaxPool2d((2, 1)))
    pairs = x.clamp(0, 1).unflatten(2, (2, 2))
    expected = ((pairs[:, :, :, 0] + pairs[:, :, :, 1]) / 2 + x.unflatten(2, (2, 2)).amax(3)).relu()
    torch.testing.assert_close(layer(x), expected)
    assert isinstance(residual(4, 4), nn.Identity)
    assert residual(4, 4, 2)(x).shape == (2, 4, 2, 3)


@pytest.mark.parametrize("lift", [None, 5])
def test_the_stem_norms_each_channel_of_each_joint_by_itself(lift: int | None) -> None:
    torch.manual_seed(0)
    stem, x = Stem(2, 3, lift), torch.randn(4, 2, 6, 3)
    mask = torch.rand(4, 3, 3) < 0.5
    nn.init.normal_(stem.norm.weight)
    out = stem(x, mask)
    for v in range(3):
        seen = x[..., v].clone()
        for b in range(4):
            for t in range(6):
                if mask[b, t // 2, v]:
                    seen[b, :, t] = stem.hidden_token.token[:, 0, v]
        lifted = stem.lift(seen.transpose(1, 2))  # (B, T, D)
        for d in range(lifted.shape[2]):
            values, at = lifted[..., d], v * lifted.shape[2] + d
            normed = (values - values.mean()) / (values.var(unbiased=False) + 1e-5).sqrt()
            torch.testing.assert_close(out[:, d, :, v], normed * stem.norm.weight[at])


def test_base_has_the_published_size() -> None:
    """3.1 M parameters and 16.3 GFLOPs, as MPAE-Net's Table 5 and others print them, within 10 %.

    The field counts a multiply-add as one operation, here for two persons, 300 frames and 25 joints; torch's
    counter counts it as two. The 60-class head is included.
    """
    net = STGCN(STGCNConfig(), LAYOUTS["ntu25"], 3, 300).eval()
    head = nn.Linear(net.dim, 60)
    parameters = sum(weight.numel() for weight in [*net.parameters(), *head.parameters()])
    assert abs(parameters / 3.1e6 - 1) < 0.1
    with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
        head.to("meta")(net.to("meta")(torch.empty(2, 3, 300, 25)).mean((2, 3)))
    assert abs(counter.get_total_flops() / 2 / 16.3e9 - 1) < 0.1


def test_base_has_the_released_layers() -> None:
    net = STGCN(STGCNConfig(), LAYOUTS["ntu25"], 3, 64)
    convs = [layer.time[2] for layer in net.layers]
    assert [conv.out_channels for conv in convs] == [64] * 4 + [128] * 3 + [256] * 3
    assert [conv.stride[0] for conv in convs] == [1, 1, 1, 1, 2, 1, 1, 2, 1, 1]
    assert {conv.kernel_size for conv in convs} == {(9, 1)}
    assert [layer.around is None for layer in net.layers] == [True] + [False] * 9
    assert net.t_stride == 4


@pytest.mark.parametrize("row", FAMILY)
@pytest.mark.parametrize("layout", [DOT, HAND], ids=lambda layout: layout.name)
def test_a_users_layout_and_a_single_frame(row: str, layout: SkeletonLayout) -> None:
    network = BACKBONES[row]
    net = network(network.Config(size="tiny", strides=(1, 1)), layout, 2, 1)
    out = net(torch.randn(2, 2, 1, layout.num_joints), torch.zeros(2, 1, layout.num_joints, dtype=torch.bool))
    assert out.shape == (2, net.dim, 1, layout.num_joints)
    out.square().sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in net.parameters())


@pytest.mark.parametrize("row", FAMILY)
def test_what_enters_each_layer_follows_from_widths_and_strides(row: str) -> None:
    network, entering = BACKBONES[row], []
    net = network(network.Config(size="tiny", channels=(8, 12), strides=(2, 1)), SBU, 3, 8)
    for layer in net.layers:
        layer.register_forward_pre_hook(lambda _, args: entering.append(tuple(args[0].shape[1:])))
    net(torch.randn(2, 3, 8, SBU.num_joints))
    assert entering == [(8 if net.lifts else 3, 8, SBU.num_joints), (8, 4, SBU.num_joints)]


@pytest.mark.parametrize("row", FAMILY)
def test_the_network_traces_for_export(row: str) -> None:
    network = BACKBONES[row]
    net = network(network.Config(size="tiny"), SBU, 3, 8).eval()
    x = torch.randn(2, 3, 8, SBU.num_joints)
    traced = torch.export.export(net, (x,), dynamic_shapes={"x": {0: torch.export.Dim("persons")}}).module()
    for one in (x, torch.randn(5, 3, 8, SBU.num_joints)):
        torch.testing.assert_close(traced(one), net(one))


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ("st_gcn", {"channels": [8]}, "channels names 1 layers and strides 10; give one number per layer"),
        ("st_gcn", {"channels": [], "strides": []}, "channels names 0 layers"),
        ("st_gcn", {"size": "tiny", "channels": [0, 8]}, "each must be a multiple of 1, at least 1"),
        ("st_gcn", {"size": "tiny", "strides": [0, 1]}, "each must be 1 or more"),
        ("st_gcn", {"kernel": 4}, "kernel 4: must be odd"),
        ("ctr_gcn", {"size": "tiny", "channels": [8, 6]}, r"channels \[8, 6\]: each must be a multiple of 4"),
        ("infogcn", {"size": "tiny", "channels": [8, 6]}, "each must be a multiple of 4"),
        ("infogcn", {"heads": 0}, "heads"),
    ],
)
def test_mistakes_in_configs_are_named(row: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_config(BACKBONES[row].Config, {"name": row, **options}, "test")
    assert "\n" not in str(caught.value)
