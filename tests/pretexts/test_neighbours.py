"""Positives from neighbours against naive loops, and what they must not be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from batches import LAYOUT, batch_for, change, train
from torch import Tensor

from ssl_skel.backbones import BACKBONES
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.streams import pose
from ssl_skel.errors import UserError
from ssl_skel.pretexts import build_pretext
from ssl_skel.pretexts.combined import Combined
from ssl_skel.pretexts.configs.combined import CombinedConfig
from ssl_skel.pretexts.configs.neighbours import NeighboursConfig
from ssl_skel.pretexts.configs.psp import PSPConfig
from ssl_skel.pretexts.contrast import info_nce
from ssl_skel.pretexts.neighbours import Neighbours, describe
from ssl_skel.pretexts.psp import PSP

POINTS, DIM = 2, 5


def psp(**neighbours: Any) -> PSP:
    torch.manual_seed(0)
    net = parse_config(BACKBONES["tcn"].Config, {"size": "tiny"}, "test")
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=16, stream="pose")
    options = {"name": "psp", "levels": ["clip", "time"], "time_bins": 2, "projection": 8, "neighbours": neighbours}
    task = build_pretext(parse_config(PSPConfig, options, "test"), encoder)
    assert isinstance(task, PSP)
    return task


def keys(count: int, seed: int = 0) -> Tensor:
    points = torch.randn(POINTS, count, DIM, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(points, dim=2)


def support(near: str = "points", size: int = 6, count: int = 2) -> Neighbours:
    config = parse_config(NeighboursConfig, {"size": size, "count": count, "near": near}, "test")
    return Neighbours(config, (POINTS, DIM), 3)


@pytest.mark.parametrize("near", ["points", "poses"])
def test_the_nearest_other_clips_are_found(near: str) -> None:
    known, asked = keys(6), keys(3, seed=1)
    poses, others = torch.randn(6, 3), torch.randn(3, 3)
    rows, asking = torch.tensor([10, 11, 12, 13, 14, 15]), torch.tensor([12, 40, 15])
    held = support(near)
    held.keep(known, poses if near == "poses" else None, rows, None)
    found = held.find(asked, others if near == "poses" else None, asking)
    assert found is not None
    for n in range(3):
        worth = {}
        for q in range(6):
            if rows[q] != asking[n]:
                alike = sum(float(asked[p, n] @ known[p, q]) for p in range(POINTS))
                worth[q] = alike if near == "points" else -float((others[n] - poses[q]).norm())
        assert found[:, n].tolist() == sorted(worth, key=worth.__getitem__, reverse=True)[:2]


def test_the_set_holds_the_newest_clips_and_their_matches() -> None:
    held = support(size=5, count=1)
    for step in range(3):
        rows = torch.arange(2) + 2 * step
        assert held.find(keys(2, step), None, rows) is None  # not full before the third call
        held.keep(keys(2, step), None, rows, None)
    assert sorted(held.rows.tolist()) == [1, 2, 3, 4, 5]
    assert len(held.matches) == 0
    found = held.find(keys(2, 1), None, torch.tensor([20, 21]))
    assert found is not None
    assert held.rows[found[0]].tolist() == [2, 3]  # the same points
    assert torch.equal(held.keys[:, found[0]], keys(2, 1))
    held.keep(keys(2, 9), None, torch.tensor([20, 21]), found)
    assert sorted(held.matches.tolist()) == [[20, 2], [21, 3]]


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_neighbours_take_the_other_views_place(own: bool, count: int) -> None:
    """InfoNCE with, for every clip of the batch, its other view or the j-th clip near that."""
    task, batch = psp(size=4, count=count, own=own), batch_for(psp())
    task.train()
    plain = task(batch)["loss"]
    assert task.neighbours is not None
    task.load_state_dict(task.state_dict())
    held = {name: value.clone() for name, value in task.neighbours.state_dict().items()}
    later = change(batch_for(task), index=batch.index + 100)
    views = task.views(later)
    features = [task.encoder.backbone(view.x) for view in views]
    points = torch.stack([task.head(feature, later.present) for feature in features])  # (K, points, N, P)
    expected = []
    for one, two in ((0, 1), (1, 0)):
        near = torch.einsum("and,aqd->nq", points[two], held["keys"]).topk(count, 1).indices
        levels = []
        for group in task.config.points.values():
            for at in group:
                choices = [points[two][at]] if own else []
                choices += [torch.stack([held["keys"][at, near[n, j]] for n in range(4)]) for j in range(count)]
                losses = [info_nce(points[one][at], points[one][at], choice, temperature=0.07)[0] for choice in choices]
                levels.append(torch.stack(losses).mean() / len(group))
        expected.append(torch.stack(levels).sum())
    got = task.loss(later, views, features)["loss"]
    torch.testing.assert_close(got, torch.stack(expected).mean(), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(got, plain, atol=1e-3)


def test_more_neighbours_than_clips_are_refused() -> None:
    with pytest.raises(UserError, match="neighbours: count: 4 of 4 clips"):
        psp(size=4, count=4)


def test_poses_are_compared_without_scores_and_absent_persons() -> None:
    x = torch.randn(2, 3, 32, 15, 2)
    present = torch.tensor([[True, True], [True, False]])
    got = describe(torch.where(present[:, None, None, None], x, torch.nan), present, LAYOUT)
    assert got.shape == (2, 3 * 15 * 16)
    held = pose(x, LAYOUT)
    moves = held - held.mean(2, keepdim=True)
    for c, v, t in ((0, 3, 0), (2, 14, 15), (1, 0, 7)):
        expected = [moves[0, c, 2 * t : 2 * t + 2, v].mean(), moves[1, c, 2 * t : 2 * t + 2, v, 0].mean()]
        torch.testing.assert_close(got[:, (c * 15 + v) * 16 + t], torch.stack(expected), rtol=1e-4, atol=1e-5)
    scored = torch.cat([x[:, :2], torch.full_like(x[:, :1], 9.0)], 1)
    layout = LAYOUT.with_score()
    torch.testing.assert_close(describe(scored, present, layout), describe(x[:, :2], present, LAYOUT))


@pytest.mark.parametrize("near", ["points", "poses"])
def test_it_learns_resumes_and_tells_its_matches(near: str) -> None:
    whole, fresh = psp(size=4, near=near), psp(size=4, near=near)

    def batches(step: int) -> Any:
        return change(batch_for(whole), index=torch.arange(4) + 4 * (step % 2))

    losses = train(whole, batches, 10)
    assert losses[-1] < losses[2]
    matches = whole.matches
    assert matches is not None
    assert len(matches) == 4
    assert (matches[:, 0] // 4 != matches[:, 1] // 4).all()  # never a clip's own batch, which had not come in yet
    fresh.load_state_dict(whole.state_dict())
    assert train(whole, batches, 1) == train(fresh, batches, 1)


def test_evaluation_leaves_the_set_alone_and_a_combination_passes_matches_on() -> None:
    task = psp(size=4).eval()
    task(batch_for(task))
    assert task.neighbours is not None
    assert (task.neighbours.rows == -1).all()
    parts = [{"pretext": {"name": "temporal_order"}}, {"pretext": task.config.model_dump(mode="json")}]
    both = Combined(parse_config(CombinedConfig, {"parts": parts}, "test"), task.encoder, LAYOUT).train()
    for _ in range(2):
        both(batch_for(both))
    assert both.matches is not None
    assert len(both.matches) == 4
