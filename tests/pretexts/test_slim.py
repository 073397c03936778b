"""SLiM: its views, and its three losses against loops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from batches import FRAMES, LAYOUT, batch_for, train
from torch import Tensor
from torch.nn import functional

from ssl_skel.backbones import BACKBONES
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.errors import UserError
from ssl_skel.pretexts.configs.slim import SLiMConfig
from ssl_skel.pretexts.slim import SLiM, koleo

TINY = {"prototypes": 6, "head_hidden": 8, "head_bottleneck": 4}


def slim(backbone: str = "mpae_net", **options: Any) -> SLiM:
    torch.manual_seed(0)
    sizes = {"channels": [16, 16], "strides": [2, 2], "norm": "layer"} if backbone == "mpae_net" else {"size": "tiny"}
    net = parse_config(BACKBONES[backbone].Config, sizes, "test")
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=FRAMES, stream="joint")
    return SLiM(parse_config(SLiMConfig, {**TINY, **options}, "test"), encoder, LAYOUT)


def test_views_are_both_draws_and_windows_of_them() -> None:
    task = slim(local_shares=[0.5, 0.25, 0.125])  # 8 and 4 frames; 2 are fewer than a unit, so 4 again
    batch = batch_for(task)
    whole, long, short = task.views(batch)
    persons = int(batch.present.sum())
    assert [view.x.shape[0] / persons for view in (whole, long, short)] == [2, 2, 4]
    assert [view.x.shape[2] for view in (whole, long, short)] == [16, 8, 4]
    draws = [task.encoder.pack(batch.x[:, draw], batch.present) for draw in range(2)]
    assert torch.equal(whole.x, torch.cat(draws))
    for view in (long, short):
        for at, part in enumerate(view.x.split(persons)):
            draw, length = draws[at % 2], part.shape[2]
            starts = [
                {t for t in range(17 - length) if torch.equal(draw[b, :, t : t + length], part[b])}
                for b in range(persons)
            ]
            owner = batch.present.nonzero()[:, 0]
            assert all(starts)
            assert all(starts[b] & starts[b - 1] for b in range(1, persons) if owner[b] == owner[b - 1])


def test_some_persons_of_global_views_have_parts_hidden_and_all_of_local_ones() -> None:
    task = slim(masked=0.5)
    on = torch.cat([task.views(batch_for(task, step))[0].mask.flatten(1).any(1) for step in range(40)])
    assert 0.4 < on.float().mean() < 0.6
    _, *local = task.views(batch_for(task))
    assert all(view.mask.flatten(1).any(1).all() for view in local)
    assert not slim(masked=0.0).views(batch_for(task))[0].mask.any()


def distribution(outputs: Tensor, centre: Tensor) -> list[float]:
    values = [math.exp(float(value) / 0.06) for value in outputs - centre]
    return [value / sum(values) for value in values]


def apart(outputs: Tensor, wanted: list[float]) -> float:
    scores = [math.exp(float(value) / 0.1) for value in outputs]
    return -sum(share * math.log(score / sum(scores)) for share, score in zip(wanted, scores, strict=True))


@torch.no_grad()
@pytest.mark.parametrize("backbone", ["mpae_net", "tcn"])
def test_the_losses_are_the_releases(backbone: str) -> None:
    task = slim(backbone, local_shares=[0.5], clips=2.0, cells=3.0, spread=5.0).eval()
    for centre in (task.clip_centre, task.cell_centre):
        centre.mean.uniform_(-0.1, 0.1)
    for weight in task.teacher.parameters():
        weight.add_(0.1 * torch.randn(weight.shape))
    batch = batch_for(task)
    views = task.views(batch)
    features = [task.encoder.backbone(view.x, view.mask) for view in views]
    got = task.loss(batch, views, features)

    owner, persons = batch.present.nonzero()[:, 0].tolist(), int(batch.present.sum())

    def clip(grid: Tensor, n: int) -> Tensor:
        mine = [grid[b].mean((1, 2)) for b in range(persons) if owner[b] == n]
        return torch.stack(mine).mean(0)

    seen = task.teacher["backbone"](views[0].x)
    told = [
        [distribution(task.teacher["clip_head"](clip(part, n)), task.clip_centre.mean) for n in range(4)]
        for part in seen.split(persons)
    ]
    pairs = []
    for kind, grid in enumerate(features):
        for at, part in enumerate(grid.split(persons)):
            for other in range(2):
                if kind or other != at:
                    errors = [apart(task.clip_head(clip(part, n)), told[other][n]) for n in range(4)]
                    pairs.append(sum(errors) / 4)
    assert len(pairs) == 2 + 2 * 2
    assert float(got["clips"]) == pytest.approx(sum(pairs) / len(pairs), rel=1e-4)

    frames = views[0].mask.repeat_interleave(4, 1)
    step, joints = FRAMES // seen.shape[2], seen.shape[3]
    person = []
    for b in range(2 * persons):
        errors = []
        for t in range(seen.shape[2]):
            for v in range(joints):
                part = frames[b, t * step : (t + 1) * step]
                if (part[:, v] if joints > 1 else part).any():
                    wanted = distribution(task.teacher["cell_head"](seen[b, :, t, v]), task.cell_centre.mean)
                    errors.append(apart(task.cell_head(features[0][b, :, t, v]), wanted))
        person.append(sum(errors) / len(errors) if errors else 0.0)
    clips = [[person[b] for b in range(2 * persons) if (b // persons, owner[b % persons]) == key]
             for key in ((draw, n) for draw in range(2) for n in range(4))]  # fmt: skip
    assert float(got["cells"]) == pytest.approx(sum(sum(c) / len(c) for c in clips) / 8, rel=1e-4)

    spread = 0.0
    for part in features[0].split(persons):
        points = [functional.normalize(clip(part, n), dim=0) for n in range(4)]
        nearest = [min(float((points[n] - points[m]).norm()) for m in range(4) if m != n) for n in range(4)]
        spread -= sum(math.log(value) for value in nearest) / 4
    assert float(got["spread"]) == pytest.approx(spread, rel=1e-3)
    assert float(got["loss"]) == pytest.approx(
        2 * float(got["clips"]) + 3 * float(got["cells"]) + 5 * float(got["spread"]), rel=1e-4
    )


def test_koleo_pushes_the_nearest_apart() -> None:
    points = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0]], requires_grad=True)
    koleo(points).backward()
    assert points.grad[1, 1] < 0  # a step against the gradient moves it away from the first


def test_the_loss_falls_once_the_centre_stands() -> None:
    task = slim("tcn", momentum=0.9, local_shares=[])
    losses = train(task, lambda step: batch_for(task), 60)
    assert max(losses[10:40]) > losses[0]
    assert losses[-1] < 0.8 * max(losses)


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"slim predicts by the features of what is hidden, and st_transformer computes"
    ):
        slim("st_transformer")
    with pytest.raises(UserError, match=r"pretext.unit: 16 frames are not a multiple of 12"):
        slim(unit=3)
    task = slim("tcn")
    with pytest.raises(UserError, match=r"train.batch_size: slim compares clips"):
        task(batch_for(task, rows=slice(0, 1)))
