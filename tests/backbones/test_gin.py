"""GIN: its layer against loops, what a joint sees, one token for all hidden joints, the derived size."""

from __future__ import annotations

import torch
from skeletons import DOT
from torch import nn

from ssl_skel.backbones.configs.gin import SIZES, GINConfig
from ssl_skel.backbones.gin import GIN, GINLayer
from ssl_skel.layouts import LAYOUTS

SBU = LAYOUTS["sbu15"]


def test_a_layer_is_the_equation() -> None:
    """Eq. 4.1 of GIN, one joint and neighbour at a time, then the MLP step by step."""
    torch.manual_seed(0)
    layer, x = GINLayer(4, SBU).eval(), torch.randn(2, 3, SBU.num_joints, 4)
    for weight in layer.parameters():
        nn.init.normal_(weight, std=0.5)
    first, first_norm, first_act, second, second_norm, second_act = layer.mlp
    out = layer(x)
    for v in range(SBU.num_joints):
        total = (1 + layer.eps) * x[:, :, v]
        for u in range(SBU.num_joints):
            if u != v and (SBU.parents[u] == v or SBU.parents[v] == u):
                total = total + x[:, :, u]

        def normed(y: torch.Tensor, by: nn.Module) -> torch.Tensor:
            return y * (1 + 1e-5) ** -0.5 * by.norm.weight + by.norm.bias  # a fresh norm's mean is 0, variance 1

        inner = normed(total @ first.weight.T + first.bias, first_norm)
        inner = torch.where(inner > 0, inner, first_act.weight * inner)
        expected = normed(inner @ second.weight.T + second.bias, second_norm)
        expected = torch.where(expected > 0, expected, second_act.weight * expected)
        torch.testing.assert_close(out[:, :, v], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_joint_sees_as_many_bones_away_as_there_are_layers_and_no_other_frame() -> None:
    torch.manual_seed(0)
    net = GIN(GINConfig(size="small"), SBU, 3, 4).eval()
    x = torch.randn(1, 3, 4, SBU.num_joints)
    moved = x.clone()
    moved[0, :, 2, 0] += 1
    changed = (net(moved) != net(x)).any(1)[0]  # (T, V)
    away = torch.full((SBU.num_joints,), 99)
    away[0] = 0
    for _ in range(SBU.num_joints):
        for child, parent in SBU.bones:
            away[child] = min(away[child], away[parent] + 1)
            away[parent] = min(away[parent], away[child] + 1)
    assert changed[2].tolist() == (away <= SIZES["small"].depth).tolist()
    assert not changed[[0, 1, 3]].any()


@torch.no_grad()
def test_one_token_stands_for_the_features_of_every_hidden_joint() -> None:
    net = GIN(GINConfig(size="tiny"), SBU, 3, 4)
    mask = torch.rand(2, 2, SBU.num_joints, generator=torch.Generator().manual_seed(0)) < 0.5
    x = torch.randn(2, 3, 4, SBU.num_joints)
    entered, hidden = net.enter(x, mask), mask.repeat_interleave(2, 1)
    assert (entered[hidden] == net.enter.hidden_token).all()
    torch.testing.assert_close(entered[~hidden], net.enter.lift(x.permute(0, 2, 3, 1))[~hidden])


def test_base_has_as_many_weights_as_its_shapes_say() -> None:
    layer = 2 * (64 * 64 + 64) + 2 * (2 * 64) + 2 + 1
    net = GIN(GINConfig(), LAYOUTS["coco17"], 2, 64)
    assert sum(weight.numel() for weight in net.parameters()) == 2 * 64 + 64 + 64 + 3 * layer


def test_a_single_joint_and_a_single_frame() -> None:
    net = GIN(GINConfig(size="tiny"), DOT, 2, 1)
    out = net(torch.randn(2, 2, 1, 1), torch.ones(2, 1, 1, dtype=torch.bool))
    assert out.shape == (2, net.dim, 1, 1)
    out.square().sum().backward()
