"""Layers that several networks share, against naive loops."""

from __future__ import annotations

import torch
from torch.nn import functional

from ssl_skel.backbones.layers import HiddenToken, MultiScaleTemporal


def test_hidden_token_replaces_what_is_hidden_and_nothing_else() -> None:
    x, layer = torch.randn(2, 3, 4, 5), HiddenToken(3, 5)
    mask = torch.zeros(2, 2, 5, dtype=torch.bool)
    mask[0, 1, 2] = True
    out = layer(x.masked_fill(mask.repeat_interleave(2, 1)[:, None], float("nan")), mask)
    expected = x.clone()
    expected[0, :, 2:, 2] = layer.token[:, :, 2]
    assert torch.equal(out, expected)
    assert layer(x, None) is x


def test_multi_scale_temporal_against_its_branches() -> None:
    """Every branch by hand: dilation 1, dilation 2, pool, 1x1; a quarter of the channels each."""
    torch.manual_seed(0)
    layer, x = MultiScaleTemporal(6, 8, stride=2).eval(), torch.randn(2, 6, 8, 3)
    out = layer(x)
    assert out.shape == (2, 8, 4, 3)
    scale = (1 + 1e-5) ** -0.5  # of a fresh BatchNorm in eval mode
    for number, dilation in enumerate((1, 2)):
        enter, conv = layer.branches[number][0], layer.branches[number][3]
        low = (functional.conv2d(x, enter.weight, enter.bias) * scale).relu()
        for t in range(4):
            total = conv.bias[None, :, None].expand(2, 2, 3).clone()
            for tap in range(5):
                at = 2 * t + (tap - 2) * dilation
                if 0 <= at < 8:
                    total += torch.einsum("oc,bcv->bov", conv.weight[:, :, tap, 0], low[:, :, at])
            torch.testing.assert_close(out[:, 2 * number : 2 * number + 2, t], total * scale)
    enter = layer.branches[2][0]
    low = (functional.conv2d(x, enter.weight, enter.bias) * scale).relu()
    for t in range(4):
        torch.testing.assert_close(out[:, 4:6, t], low[:, :, max(0, 2 * t - 1) : 2 * t + 2].amax(2) * scale)
    point = layer.branches[3][0]
    torch.testing.assert_close(out[:, 6:], functional.conv2d(x[:, :, ::2], point.weight, point.bias) * scale)
