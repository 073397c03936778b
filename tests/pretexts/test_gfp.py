"""GFP: what is predicted of what, against loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from batches import FRAMES, LAYOUT, batch_for
from test_vicreg import naive_covariance, naive_variance
from torch import nn

from ssl_skel.backbones import BACKBONES
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.errors import UserError
from ssl_skel.pretexts.configs.gfp import GFPConfig
from ssl_skel.pretexts.gfp import GFP

JOINTS = LAYOUT.num_joints
TINY = {"target_dim": 4, "target_hidden": 8, "global_hidden": 8, "decoder_dim": 8, "stretches": [4, 2]}
NET = {"channels": [16, 16], "strides": [2, 2], "norm": "layer"}


def gfp(backbone: str = "mpae_net", **options: Any) -> GFP:
    torch.manual_seed(0)
    net = parse_config(BACKBONES[backbone].Config, NET if backbone == "mpae_net" else {"size": "tiny"}, "test")
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=FRAMES, stream="joint")
    task = GFP(parse_config(GFPConfig, {**TINY, **options}, "test"), encoder, LAYOUT)
    for weight in task.decoder.parameters():
        nn.init.normal_(weight, std=0.4)  # biases and norms start at 0 and 1, where an error would not show
    return task.eval()


@torch.no_grad()
def test_the_loss_is_the_summarys_equations() -> None:
    task = gfp(prediction=3.0, covariance=5.0, variance=7.0)
    batch = batch_for(task)
    (view,) = task.views(batch)
    feature = task.encoder.backbone(view.x, view.mask)
    owner = batch.present.nonzero()[:, 0].tolist()
    persons, net = range(len(owner)), task.decoder
    moved = torch.zeros_like(view.x)
    moved[:, :, :-1] = view.x[:, :, 1:] - view.x[:, :, :-1]

    level = feature.clone()
    for b in persons:
        for t in range(4):
            for v in range(JOINTS):
                if view.mask[b, t, v]:  # units and cells are four frames
                    level[b, :, t, v] = net.token[:, 0, 0]
    errors: list[list[torch.Tensor]] = [[] for _ in persons]
    rows: list[list[torch.Tensor]] = []
    for at, count in enumerate((4, 2)):
        step, length = level.shape[2] // count, FRAMES // count
        pooled = torch.stack([level[:, :, k * step : (k + 1) * step].mean(2) for k in range(count)], 2)
        level = net.levels[at](pooled).permute(0, 3, 1, 2)
        target = torch.empty(len(owner), count, JOINTS, 4)
        for b in persons:
            for k in range(count):
                for v in range(JOINTS):
                    frames = range(k * length, (k + 1) * length)
                    target[b, k, v] = task.targets.local[at](torch.cat([moved[b, :, t, v] for t in frames])[None])[0]
                    errors[b].append((net.heads[at](level[b, :, k, v]) - target[b, k, v]).square().mean())
        mine = [target[[b for b in persons if owner[b] == n]].mean(0) for n in range(4)]
        rows.append([clip[k, v] for clip in mine for k in range(count) for v in range(JOINTS)])
    target = task.targets.whole(moved.flatten(1))
    for b in persons:
        errors[b].append((net.heads[2](level[b].mean((1, 2))) - target[b]).square().mean())
    rows.append([target[[b for b in persons if owner[b] == n]].mean(0) for n in range(4)])

    person = [torch.stack(found).mean() for found in errors]
    clips = [torch.stack([person[b] for b in persons if owner[b] == n]).mean() for n in range(4)]
    expected = 3 * float(torch.stack(clips).mean())
    expected += sum(5 * naive_covariance(torch.stack(level)) + 7 * naive_variance(torch.stack(level)) for level in rows)
    got = task.loss(batch, [view], [feature])
    assert float(got["loss"]) == pytest.approx(expected, rel=1e-4)
    assert len(errors[0]) == (4 + 2) * JOINTS + 1
    assert set(got) == {"loss", "prediction", "covariance", "variance"}


@pytest.mark.parametrize("backbone", ["mpae_net", "tcn"])
def test_targets_learn_too_and_hidden_joints_stay_hidden(backbone: str) -> None:
    task = gfp(backbone)
    (view,) = task.views(batch_for(task))
    assert view.mask is not None
    hidden = view.mask.repeat_interleave(4, 1)[:, None]
    batch = batch_for(task)
    feature = task.encoder.backbone(view.x, view.mask)
    assert torch.equal(feature, task.encoder.backbone(view.x.masked_fill(hidden, 7.0), view.mask))
    task.loss(batch, [view], [feature])["prediction"].backward()
    assert task.targets.local[0][0].weight.grad.any()
    assert task.decoder.heads[0].weight.grad.any()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match=r"pretext.stretches: 8 does not divide the features' 4 frames"):
        gfp(stretches=[8, 4])
    with pytest.raises(UserError, match=r"stretches \[4, 3\]: each must divide the one before it"):
        gfp(stretches=[4, 3])
    with pytest.raises(UserError, match=r"pretext.unit: 16 frames are not a multiple of 3"):
        gfp(unit=3)
    task = gfp()
    with pytest.raises(UserError, match=r"train.batch_size: gfp compares clips"):
        task(batch_for(task, rows=slice(0, 1)))
