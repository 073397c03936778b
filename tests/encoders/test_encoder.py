"""Packing and pooling of persons; absent ones must not matter."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.configs.xshift import XShiftConfig
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder, fresh_like, pool_persons
from ssl_skel.encoders.extents import to_extent
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.encoders.stream_names import Extent
from ssl_skel.encoders.streams import STREAMS, to_stream
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

LAYOUT = LAYOUTS["sbu15"]


def encoder(row: str = "mpae_net", stream: str = "joint", extent: Extent = "none") -> SkeletonEncoder:
    torch.manual_seed(0)
    config = BACKBONES[row].Config(size="tiny")
    return build_encoder(config, LAYOUT, channels=3, num_frames=16, stream=stream, extent=extent)


def clips(persons: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(4, 3, 16, LAYOUT.num_joints, persons, generator=torch.Generator().manual_seed(0))
    present = torch.ones(4, persons, dtype=torch.bool)
    present[1:3, 1:] = False
    return x, present


@pytest.mark.parametrize("row", BACKBONES)
@pytest.mark.parametrize("persons", [1, 2])
@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
def test_absent_persons_do_not_matter(row: str, persons: int, train: bool) -> None:
    net = encoder(row).train(train)
    x, present = clips(persons)
    start = {name: value.clone() for name, value in net.state_dict().items()}
    out = net(x, present)
    net.load_state_dict(start)
    noise = torch.where(present[:, None, None, None], x, torch.full_like(x, 1e3))
    assert out.shape == (4, net.dim)
    assert torch.equal(net(noise, present), out)


def test_a_clip_is_the_mean_of_its_persons() -> None:
    net = encoder().eval().with_pooling(PoolingConfig(over="mean"))
    x, present = clips(2)
    out = net(x, present)
    for row in range(4):
        persons = [m for m in range(2) if present[row, m]]
        each = [net.backbone(x[row : row + 1, ..., m]).mean((2, 3))[0] for m in persons]
        torch.testing.assert_close(out[row], torch.stack(each).mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stream", sorted(STREAMS))
def test_the_encoder_owns_its_stream(stream: str) -> None:
    net = encoder(stream=stream).eval()
    x, present = clips(2)
    packed = net.pack(x, present)
    expected = [to_stream(x, present, stream, LAYOUT)[n, ..., m] for n in range(4) for m in range(2) if present[n, m]]
    torch.testing.assert_close(packed, torch.stack(expected))
    torch.testing.assert_close(net.forward_features(x, present), net.backbone(packed))
    assert net.channels == net.with_pooling(PoolingConfig()).channels == fresh_like(net).channels == 3


@pytest.mark.parametrize("row", BACKBONES)
def test_networks_take_distances_between_persons_or_say_that_they_do_not(row: str) -> None:
    if row == "xshift":
        with pytest.raises(UserError, match="backbone: xshift draws joints at their 2 or 3 coordinates, not 15 dist"):
            encoder(row, "pair_distances")
        return
    net = encoder(row, "pair_distances").eval()
    x, present = clips(2)
    out = net(x, present)
    assert out.shape == (4, net.dim)
    apart = x + 3 * torch.tensor([1.0, 0.0])  # one of the two steps aside
    moved = (net(apart, present) - out).abs().amax(1)
    assert moved[[0, 3]].min() > 1e-6
    assert not moved[1:3].any()  # who is alone has no distances


def test_a_backbone_of_other_channels_than_the_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="the stream pair_distances has 15 channels, the backbone takes 3"):
        SkeletonEncoder(encoder().backbone, "pair_distances")


@pytest.mark.parametrize("extent", get_args(Extent))
def test_the_encoder_owns_its_extent_and_hands_it_on(extent: Extent) -> None:
    net = encoder(stream="bone", extent=extent).eval()
    x, present = clips(2)
    placed = to_extent(x, present, extent, LAYOUT)
    assert torch.equal(net.place(x, present), placed)
    assert torch.equal(net.see(x, present), to_stream(placed, present, "bone", LAYOUT))
    assert torch.equal(net.see(x, present, "pose"), to_stream(placed, present, "pose", LAYOUT))
    out = encoder(stream="bone").eval()(placed, present)
    for other in (net, net.with_pooling(PoolingConfig(over="part"))):
        torch.testing.assert_close(other(x, present), out)
    assert fresh_like(net).extent == extent


def test_mask_counts_packed_persons() -> None:
    net = encoder().eval()
    x, present = clips(2)
    mask = torch.rand(int(present.sum()), 8, LAYOUT.num_joints) < 0.5
    assert net.forward_features(x, present, mask).shape[0] == mask.shape[0]


def test_pool_persons_is_a_mean_a_clip() -> None:
    present = torch.tensor([[True, True], [False, True], [False, False]])
    pooled = pool_persons(torch.tensor([[1.0], [3.0], [5.0]]), present)
    assert pooled.flatten().tolist() == [2.0, 5.0, 0.0]


@pytest.mark.parametrize("pooling", ["body", "part", "joint", "part:4"])
def test_merged_joints_have_no_groups_even_where_they_are_as_many(pooling: str) -> None:
    """A map of 20 x 20 pixels ends on a grid of 5 x 5 places, and NTU's layout has 25 joints."""
    config = XShiftConfig(size="tiny", side=20)
    net = build_encoder(config, LAYOUTS["ntu25"], channels=3, num_frames=16, stream="joint").eval()
    x, present = torch.randn(2, 3, 16, 25, 1), torch.ones(2, 1, dtype=torch.bool)
    assert net.forward_features(x, present).shape[3] == 25
    assert str(net.pooling.config) == "mean"
    with pytest.raises(UserError, match=f"pooling: {pooling} needs joints, and xshift merges them; use mean"):
        net.with_pooling(PoolingConfig.of(pooling))


def test_another_pooling_is_another_encoder_of_the_same_weights_and_mode() -> None:
    net = encoder().eval()
    assert str(net.pooling.config) == "part"
    x, present = clips(2)
    other = net.with_pooling(PoolingConfig(over="mean"))
    assert other.backbone is net.backbone
    assert not other.training
    assert not other.backbone.training
    assert [*other.state_dict()] == [*net.state_dict()] == [f"backbone.{name}" for name in net.backbone.state_dict()]
    assert other(x, present).shape == (4, net.backbone.dim) != net(x, present).shape
    assert str(fresh_like(other).pooling.config) == "mean"


@pytest.mark.parametrize("level", ["body", "part", "joint"])
def test_groups_of_joints_stand_side_by_side(level: str) -> None:
    net = encoder().eval()
    x, present = clips(2)
    grid = net.forward_features(x, present).mean(2)
    mean = net.with_pooling(PoolingConfig(over="mean"))(x, present)
    net = net.with_pooling(PoolingConfig.of(level))
    out = net(x, present)
    assert out.shape == (4, net.dim)
    got = out.unflatten(1, (net.backbone.dim, -1))
    owner = present.nonzero()[:, 0]
    for number, group in enumerate(LAYOUT.level(level)):
        packed = torch.stack([grid[:, :, joint] for joint in group]).mean(0)
        expected = torch.stack([packed[owner == clip].mean(0) for clip in range(4)])
        torch.testing.assert_close(got[:, :, number], expected, rtol=1e-4, atol=1e-5)
    if level == "joint":
        torch.testing.assert_close(got.mean(2), mean, rtol=1e-4, atol=1e-5)
