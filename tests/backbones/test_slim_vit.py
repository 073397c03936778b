"""SLiM's transformer beside its golden numbers: what is hidden has features, and the order of times counts."""

from __future__ import annotations

import pytest
import torch

from ssl_skel.backbones.configs.slim_vit import SLiMViTConfig
from ssl_skel.backbones.slim_vit import SLiMViT
from ssl_skel.config import parse_config
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS


def build(**options: object) -> SLiMViT:
    torch.manual_seed(0)
    net = SLiMViT(parse_config(SLiMViTConfig, {"size": "tiny", **options}, "test"), LAYOUTS["sbu15"], 3, 16)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.3)  # fresh tokens are nearly alike, where an error would not show
    return net.eval()


@torch.no_grad()
def test_features_of_hidden_cells_tell_of_the_visible_ones() -> None:
    net, mask = build(), torch.zeros(1, 4, 15, dtype=torch.bool)
    mask[:, 1, 3] = True
    one, two = (net(x, mask)[:, :, 1, 3] for x in torch.randn(2, 1, 3, 16, 15))
    assert (one - two).abs().max() > 0.01


@torch.no_grad()
def test_the_order_of_times_counts() -> None:
    net, x = build(), torch.randn(1, 3, 16, 15)
    order = [2, 0, 3, 1]
    shuffled = x.unflatten(2, (4, 4))[:, :, order].flatten(2, 3)
    assert (net(x)[:, :, order] - net(shuffled)).abs().max() > 1e-4


def test_a_head_needs_pairs_of_channels() -> None:
    with pytest.raises(UserError, match="width 18: must be a multiple of twice the heads = 4"):
        build(width=18)
