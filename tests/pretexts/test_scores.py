"""Joints with a score: pretexts move and difference coordinates only; a score stays what it is."""

from __future__ import annotations

from typing import Any

import torch
from batches import LAYOUT, batch_for, change
from torch import Tensor

from ssl_skel.backbones import BACKBONES
from ssl_skel.batch import Batch
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.pretexts import PRETEXTS, build_pretext
from ssl_skel.pretexts.base import Pretext

SCORED = LAYOUT.with_score()
NET = {"name": "mpae_net", "channels": [16, 16], "strides": [2, 2], "norm": "layer"}


def scored(config: dict[str, Any]) -> tuple[Pretext, Batch]:
    """A pretext and its batch: bodies that keep still, with scores that do not."""
    torch.manual_seed(0)
    net = parse_config(BACKBONES["mpae_net"].Config, NET, "test")
    encoder = build_encoder(net, SCORED, channels=4, num_frames=16, stream="joint")
    task = build_pretext(parse_config(PRETEXTS[config["name"]].Config, config, "test"), encoder)
    batch = batch_for(task)
    still = batch.x[:, :, :, :1].expand_as(batch.x)
    return task, change(batch, x=torch.cat([still, torch.rand_like(still[:, :, :1])], 2))


def scores(x: Tensor) -> set[float]:
    return set(x.flatten().tolist())


def test_the_motion_view_of_psp() -> None:
    task, batch = scored({"name": "psp", "norm": "layer"})
    own, moved = task.views(batch)
    assert not moved.x[:, :3].any()
    assert scores(moved.x[:, 3]) <= scores(batch.x[:, 1, 3])
    assert own.x[:, :3].any()


def test_segments_are_centred_without_their_scores() -> None:
    task, batch = scored({"name": "temporal_order", "clips": 2, "gap": 0})
    batch = change(batch, present=torch.tensor([[True, False]] * len(batch.x)))  # the first person's centre counts
    (view,) = task.views(batch)
    assert not view.x[:, :3, :, SCORED.centre].any()
    assert scores(view.x[:, 3]) <= scores(batch.x[:, 0, 3])


def test_motion_is_masked_and_predicted_without_scores() -> None:
    task, batch = scored({"name": "skeleton_mae", "mask": {"name": "motion"}, "target": "motion", "normalize": False})
    (view,) = task.views(batch)
    target = task.target(view.x).unflatten(3, (-1, 4))  # (B, U, V, u, C)
    assert not target[..., :3].any()
    assert scores(target[..., 3]) <= scores(batch.x[:, 0, 3])
    masks = []
    for draw in (batch.x[:, :, 3:], torch.rand_like(batch.x[:, :, 3:])):
        again = change(batch, x=torch.cat([batch.x[:, :, :3], draw], 2), rng=batch_for(task).rng)
        masks.append(task.views(again)[0].mask)
    assert torch.equal(*masks)


def test_a_unit_is_scaled_without_its_scores() -> None:
    task, batch = scored({"name": "skeleton_mae"})
    moving = change(batch, x=torch.cat([torch.randn_like(batch.x[:, :, :3]), batch.x[:, :, 3:]], 2))
    target = task.target(task.views(moving)[0].x).unflatten(3, (-1, 4))
    coordinates = target[..., :3].flatten(3)
    torch.testing.assert_close(coordinates.mean(3), torch.zeros_like(coordinates[..., 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(coordinates.std(3), torch.ones_like(coordinates[..., 0]), atol=1e-3, rtol=0)
    assert scores(target[..., 3]) <= scores(batch.x[:, 0, 3])
