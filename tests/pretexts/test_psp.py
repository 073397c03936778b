"""PSP: its pyramid against loops, what leaves its loss unchanged, its momentum network and queue."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from batches import LAYOUT, batch_for, change, train
from torch import Tensor
from torch.nn import functional

from ssl_skel.backbones import BACKBONES
from ssl_skel.batch import Batch
from ssl_skel.config import FormerName, parse_config
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout
from ssl_skel.pretexts import build_pretext
from ssl_skel.pretexts.configs.psp import PSPConfig
from ssl_skel.pretexts.psp import PPA, PSP

NET = {"name": "mpae_net", "channels": [16, 16], "strides": [2, 2], "norm": "layer"}


def psp(*, stream: str = "joint", **options: Any) -> PSP:
    torch.manual_seed(0)
    net = parse_config(BACKBONES["mpae_net"].Config, NET, "test")
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=16, stream=stream)
    config = parse_config(PSPConfig, {"name": "psp", "projection": 8, "norm": "layer", **options}, "test")
    task = build_pretext(config, encoder)
    assert isinstance(task, PSP)
    return task


def naive_ppa(ppa: PPA, features: Tensor, layout: SkeletonLayout, weights: dict[tuple[str, str], float]) -> Tensor:
    """The equations of the released code for one person, entry by entry: (D, T, V) -> (levels, D)."""
    dim, frames, _ = features.shape
    inner, maps, vectors = dim // ppa.heads, {}, []
    for level in ppa.qkv:
        groups = layout.level(level)
        pooled = torch.stack([features[:, :, list(group)].mean(2) for group in groups], 2)  # (D, T, P)
        q, k, v = ppa.qkv[level].weight.split(dim)
        raw = torch.zeros(ppa.heads, len(groups), len(groups))
        for h in range(ppa.heads):
            rows = slice(h * inner, (h + 1) * inner)
            for a in range(len(groups)):
                for b in range(len(groups)):
                    total = sum((q[rows] @ pooled[:, t, a]) @ (k[rows] @ pooled[:, t, b]) for t in range(frames))
                    raw[h, a, b] = torch.tanh(total / (inner * frames))
        maps[level] = raw
        used = raw.clone()
        for coarse in [name for name in maps if name != level]:
            inside = [next(i for i, g in enumerate(layout.level(coarse)) if set(x) <= set(g)) for x in groups]
            for a in range(len(groups)):
                for b in range(len(groups)):
                    used[:, a, b] += weights[coarse, level] * maps[coarse][:, inside[a], inside[b]]
        mixed = torch.zeros(frames, len(groups), dim)
        for h in range(ppa.heads):
            rows = slice(h * inner, (h + 1) * inner)
            for t in range(frames):
                for a in range(len(groups)):
                    mixed[t, a, rows] = sum(used[h, a, b] * (v[rows] @ pooled[:, t, b]) for b in range(len(groups)))
        out = functional.leaky_relu(pooled.permute(1, 2, 0) + ppa.leave[level](mixed[None])[0], 0.1)
        vectors.append(out.mean((0, 1)))
    return torch.stack(vectors)


@pytest.mark.parametrize("levels", [("body", "part", "joint"), ("part", "joint"), ("body", "joint")])
def test_ppa_is_the_equations(levels: tuple[Any, ...]) -> None:
    torch.manual_seed(0)
    config = PSPConfig(levels=levels, norm="layer", pyramid_weights=(0.5, 0.7, 0.9))
    ppa = PPA(8, config, LAYOUT)
    features = torch.randn(2, 8, 3, LAYOUT.num_joints)
    weights = {("body", "part"): 0.5, ("part", "joint"): 0.7, ("body", "joint"): 0.9}
    found = ppa(features)
    for person in range(2):
        expected = naive_ppa(ppa, features[person], LAYOUT, weights)
        torch.testing.assert_close(torch.stack([found[level][person] for level in levels]), expected)


def test_joints_of_a_group_may_change_places() -> None:
    """A level sees the mean of a group: permuting its joints changes nothing there, but does at joint level."""
    torch.manual_seed(0)
    layout = LAYOUTS["ntu25"]
    ppa = PPA(8, PSPConfig(norm="layer"), layout)
    torch.nn.init.normal_(ppa.qkv["joint"].weight)
    features = torch.randn(2, 8, 4, 25)
    moved = features.clone()
    for group in layout.part:
        moved[..., list(group)] = features[..., [*group[1:], group[0]]]
    before, after = ppa(features), ppa(moved)
    torch.testing.assert_close(before["body"], after["body"])
    torch.testing.assert_close(before["part"], after["part"])
    across = features.roll(3, -1)
    assert not torch.allclose(ppa(across)["body"], before["body"], atol=1e-4)


def test_the_clip_level_is_pooled_by_the_mean() -> None:
    task = psp(levels=["clip"]).eval()
    batch = batch_for(task)
    view = task.views(batch)[0]
    pooled = task.encoder.with_pooling(PoolingConfig(over="mean"))(batch.x[:, 0], batch.present)
    expected = functional.normalize(task.head.mlp(pooled), dim=1)
    torch.testing.assert_close(task.head(task.encoder.backbone(view.x), batch.present)[0], expected)


def swapped(batch: Batch) -> Batch:
    return change(batch, x=batch.x.flip(1))


def test_swapping_the_views_changes_nothing() -> None:
    task = psp(views=["joint", "joint"]).eval()
    batch = batch_for(task)
    torch.testing.assert_close(task(batch), task(swapped(batch)))
    other = psp(views=["own", "own_motion"]).eval()
    views = other.views(batch)
    features = [other.encoder.backbone(view.x) for view in views]
    torch.testing.assert_close(other.loss(batch, views, features), other.loss(batch, views[::-1], features[::-1]))


def test_views_are_the_streams_they_are_called() -> None:
    task = psp(stream="bone", views=["own", "own_motion", "joint", "joint_motion"])
    batch = batch_for(task)
    own, motion, joint, joint_motion = task.views(batch)
    first = batch.x[:, 0].permute(0, 4, 1, 2, 3)[batch.present]
    torch.testing.assert_close(own.x, first - first[..., list(LAYOUT.parents)])
    second = batch.x[:, 1].permute(0, 4, 1, 2, 3)[batch.present]
    second = second - second[..., list(LAYOUT.parents)]
    torch.testing.assert_close(motion.x[:, :, :-1], second[:, :, 1:] - second[:, :, :-1])
    assert not motion.x[:, :, -1].any()
    torch.testing.assert_close(joint.x, batch.x[:, 2].permute(0, 4, 1, 2, 3)[batch.present])
    assert joint_motion.source == (3, "joint_motion")


def test_levels_add_up_and_three_views_are_the_mean_of_pairs() -> None:
    whole = psp(views=["joint", "joint", "joint"], levels=["clip"]).eval()
    batch = batch_for(whole)
    pair = psp(views=["joint", "joint"], levels=["clip"]).eval()
    pair.load_state_dict(whole.state_dict())
    losses = [pair(change(batch, x=batch.x[:, list(at)]))["loss"] for at in ((0, 1), (0, 2), (1, 2))]
    torch.testing.assert_close(whole(batch)["loss"], torch.stack(losses).mean())

    every = psp(levels=["body", "part", "joint"]).eval()
    views = every.views(batch)
    features = [every.encoder.backbone(view.x) for view in views]
    points = [every.head(feature, batch.present) for feature in features]
    both = torch.cat(points, 1)  # (levels, 2N, P)
    clips, total = len(batch.x), 0.0
    for level in both:
        for i in range(2 * clips):
            logits = torch.stack([level[i] @ level[j] / 0.07 for j in range(2 * clips) if j != i])
            total += logits.logsumexp(0) - level[i] @ level[(i + clips) % (2 * clips)] / 0.07
    torch.testing.assert_close(every(batch)["loss"], total / (2 * clips), rtol=1e-4, atol=1e-5)


def naive_time(task: PSP, grids: list[Tensor], batch: Batch, bins: int) -> Tensor:
    """The loss of the level ``time``, clip by clip and stretch by stretch, from the features of two views."""
    clips, losses = len(batch.x), []
    for stretch in range(bins):
        points = []
        for grid in grids:
            person, size = iter(grid), grid.shape[2] // bins
            for clip in range(clips):
                means = []
                for _ in range(int(batch.present[clip].sum())):
                    one, inside = next(person), range(stretch * size, (stretch + 1) * size)
                    means.append(sum(one[:, t, v] for t in inside for v in range(LAYOUT.num_joints)) / size)
                    means[-1] = means[-1] / LAYOUT.num_joints
                points.append(functional.normalize(task.head.mlp(torch.stack(means).mean(0)), dim=0))
        for i in range(2 * clips):
            logits = torch.stack([points[i] @ points[j] / 0.07 for j in range(2 * clips) if j != i])
            losses.append(logits.logsumexp(0) - points[i] @ points[(i + clips) % (2 * clips)] / 0.07)
    return torch.stack(losses).mean()


@pytest.mark.parametrize("bins", [1, 2, 4])
def test_the_level_time_compares_stretches_with_their_like(bins: int) -> None:
    """Alone it is the mean over stretches; beside another level it weighs as one, wherever it is named."""
    task = psp(levels=["time"], time_bins=bins).eval()
    batch = batch_for(task)
    grids = [task.encoder.backbone(view.x) for view in task.views(batch)]
    alone = task(batch)["loss"]
    torch.testing.assert_close(alone, naive_time(task, grids, batch, bins), rtol=1e-4, atol=1e-5)
    clip, first, last = (
        psp(levels=levels, time_bins=bins).eval() for levels in (["clip"], ["time", "clip"], ["clip", "time"])
    )
    for other in (clip, first, last):
        other.load_state_dict(task.state_dict())
    for both in (first, last):
        torch.testing.assert_close(both(batch)["loss"], alone + clip(batch)["loss"])
        torch.testing.assert_close(both(batch)["positive"], (task(batch)["positive"] + clip(batch)["positive"]) / 2)


def test_the_level_time_knows_the_order_of_stretches() -> None:
    task = psp(levels=["clip", "time"], projection=32).eval()
    batch = batch_for(task)
    one = task.encoder.backbone(task.views(batch)[0].x)
    points, turned = task.head(one, batch.present), task.head(one.flip(2), batch.present)
    torch.testing.assert_close(turned[0], points[0])
    torch.testing.assert_close(turned[1:], points[1:].flip(0))
    assert not torch.allclose(points[1], points[4], atol=1e-4)
    assert points.shape == (5, 4, 32)
    assert task.config.points == {"clip": [0], "time": [1, 2, 3, 4]}


def test_the_momentum_network_follows_without_gradients() -> None:
    task = psp(momentum=0.75)
    assert task.keys is not None
    name = "backbone.layers.0.mpa.fuse.weight"
    before = task.keys.state_dict()[name].clone()
    assert torch.equal(before, task.encoder.backbone.layers[0].mpa.fuse.weight)
    task(batch_for(task))["loss"].backward()
    assert all(weight.grad is None for weight in task.keys.parameters())
    with torch.no_grad():
        task.encoder.backbone.layers[0].mpa.fuse.weight += 1
    task.after_step(0.1)
    torch.testing.assert_close(task.keys.state_dict()[name], before + 0.25)


def test_a_still_momentum_network_and_no_queue_is_plain_psp() -> None:
    plain, moving = psp().eval(), psp(momentum=0.9).eval()
    moving.load_state_dict(plain.state_dict(), strict=False)
    moving.keys["backbone"].load_state_dict(plain.encoder.backbone.state_dict())
    moving.keys["head"].load_state_dict(plain.head.state_dict())
    torch.testing.assert_close(plain(batch_for(plain)), moving(batch_for(moving)))


def test_the_queue_holds_the_newest_keys() -> None:
    task = psp(momentum=0.9, queue=12, levels=["clip", "time", "body"])
    batch, keys = batch_for(task), []
    for _ in range(3):
        with torch.no_grad():
            task.encoder.backbone.layers[0].mpa.fuse.weight += 0.3
        task.after_step(0.0)
        keys.append(task._keys(batch, task.views(batch)).transpose(0, 1).flatten(1, 2))  # 8 a step
        task(batch)
    expected = torch.cat(keys, 1)[:, -12:]
    order = (task.oldest + torch.arange(12)) % 12
    torch.testing.assert_close(task.queue[:, order], expected)
    assert "queue" in task.state_dict()
    kept = task.queue.clone()
    task.eval()(batch)
    assert torch.equal(task.queue, kept)


def test_it_learns_from_the_momentum_network() -> None:
    task = psp(momentum=0.9)
    losses = train(task, lambda step: batch_for(task), 40)
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queue": 8}, "queue: needs momentum"),
        ({"heads": 3}, "heads: 3 does not divide the backbone's width 16"),
        ({"levels": ["body", "body"]}, "name each once"),
        ({"levels": ["bodies"]}, "did you mean 'body'"),
        ({"views": ["own"]}, "views"),
        ({"levels": ["time"], "time_bins": 5}, "time_bins: 5; features have 4 frames, give at most 4"),
    ],
)
def test_what_cannot_be_built_says_why(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        psp(**options)


def test_views_of_other_channels_are_refused() -> None:
    assert psp(stream="pair_distances", views=["own", "own_motion", "pair_distances"]).num_views == 3
    with pytest.raises(UserError, match=r"pretext.views: pair_distances has 15 channels, and .* stream joint has 3"):
        psp(views=["own", "pair_distances"])


def test_a_backbone_that_merges_joints_says_which_levels_remain() -> None:
    task = psp(levels=["time", "clip"])
    task.encoder.backbone.keeps_joints = False
    PSP(task.config, task.encoder, LAYOUT)
    with pytest.raises(UserError, match="levels that remain are clip and time"):
        PSP(PSPConfig(), task.encoder, LAYOUT)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_nests(name: str) -> None:
    ppa = PPA(8, PSPConfig(norm="layer"), LAYOUTS[name])
    vectors = ppa(torch.randn(1, 8, 2, LAYOUTS[name].num_joints))
    assert [vector.shape for vector in vectors.values()] == [(1, 8)] * 3


def test_resume_needs_nothing_beside_the_state() -> None:
    """Two steps, saved and put into a fresh task: its next step is that of a task that was never saved."""
    whole, fresh = psp(momentum=0.9, queue=6), psp(momentum=0.9, queue=6)
    train(whole, lambda step: batch_for(whole), 2)
    fresh.load_state_dict(whole.state_dict())
    ahead = [train(task, lambda step, task=task: batch_for(task), 1) for task in (whole, fresh)]
    assert ahead[0] == ahead[1]
    for x, y in zip(whole.state_dict().values(), fresh.state_dict().values(), strict=True):
        assert torch.equal(x, y)


def test_views_share_the_statistics_that_are_met_afterwards() -> None:
    """BatchNorm's running mean is that of all views, and each view is normed by it while training too."""
    torch.manual_seed(0)
    net = parse_config(BACKBONES["mpae_net"].Config, {**NET, "norm": "batch"}, "test")
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=16, stream="joint")
    task = build_pretext(parse_config(PSPConfig, {"name": "psp", "projection": 8}, "test"), encoder).train()
    batch = batch_for(task)
    views = task.views(batch)
    together = encoder.backbone(torch.cat([view.x for view in views]))
    seen: list[Tensor] = []
    encoder.backbone.register_forward_hook(lambda module, args, out: seen.append(out))
    task(batch)
    (one,) = seen
    torch.testing.assert_close(one, together)
    assert not torch.allclose(one[: len(views[0].x)], encoder.backbone(views[0].x), atol=1e-3)


def test_a_queue_takes_keys_of_half_precision() -> None:
    task = psp(momentum=0.9, queue=6)
    before = task.queue.clone()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.isfinite(task(batch_for(task))["loss"])
    assert task.queue.dtype == torch.float32
    assert not (task.queue == before).all(2).any()


def test_a_single_clip_has_nothing_to_be_compared_to() -> None:
    task = psp()
    alone = batch_for(task, rows=slice(0, 1))
    with pytest.raises(UserError, match="a micro-batch holds a single one"):
        task(alone)
    task = psp(momentum=0.9, queue=6)
    assert torch.isfinite(task(alone)["loss"])
    with pytest.raises(UserError, match=r"single one.*projection_norm none"):
        psp(momentum=0.9, queue=6, projection_norm="batch")(alone)


def test_a_norm_within_the_mlp_draws_points_apart_that_are_nearly_alike() -> None:
    features = 1 + 0.1 * torch.randn(6, 16, 4, LAYOUT.num_joints, generator=torch.manual_seed(1))
    present = torch.ones(6, 1, dtype=torch.bool)
    points = {norm: psp(projection_norm=norm).head(features, present) for norm in ("none", "batch")}
    others = ~torch.eye(6, dtype=torch.bool)
    cosine = {norm: (x @ x.transpose(1, 2))[:, others].mean() for norm, x in points.items()}
    assert cosine["none"] > 0.999
    assert cosine["batch"] < 0.7


def test_the_former_name_of_the_pyramid_weights_is_read() -> None:
    with pytest.warns(FormerName, match="hand_down is now called pyramid_weights"):
        config = parse_config(PSPConfig, {"name": "psp", "hand_down": [0.5, 0.7, 0.9]}, "run.yaml")
    assert config == PSPConfig(pyramid_weights=(0.5, 0.7, 0.9))
