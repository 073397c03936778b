"""TemporalOrder: which segments are cut, what the label says, and that order can be learned from motion alone."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ssl_skel.backbones import BACKBONES
from ssl_skel.batch import Batch, Rng
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.pretexts.configs.temporal_order import TemporalOrderConfig
from ssl_skel.pretexts.temporal_order import Shuffled, TemporalOrder

LAYOUT = LAYOUTS["kinect20"]
FRAMES, STRIDE = 32, 4


def order(stream: str = "joint", num_frames: int = FRAMES, **options: Any) -> TemporalOrder:
    torch.manual_seed(0)
    size = {"channels": [16], "strides": [1], "patch": STRIDE, "heads": 2, "norm": "layer"}
    net = parse_config(BACKBONES["mpae_net"].Config, size, "test")
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=num_frames, stream=stream)
    config = parse_config(TemporalOrderConfig, {"name": "temporal_order", "head_dim": 32, **options}, "test")
    return TemporalOrder(config, encoder, LAYOUT)


def batch(x: Tensor, seed: int = 0, present: Tensor | None = None) -> Batch:
    clips, persons = x.shape[0], x.shape[-1]
    present = torch.ones(clips, persons, dtype=torch.bool) if present is None else present
    index = torch.arange(clips)
    return Batch(x, present, index, index, Rng((seed,), clips))


def clocks(clips: int = 40, persons: int = 1, num_frames: int = FRAMES) -> Tensor:
    """Every coordinate of a frame is its number, plus 1000 a person."""
    time = torch.arange(float(num_frames)).view(1, 1, 1, -1, 1, 1)
    return (time + 1000 * torch.arange(persons)).expand(clips, 1, 3, num_frames, 20, persons)


def shown(task: TemporalOrder, one: Batch) -> tuple[Tensor, Tensor]:
    """Segments as the backbone sees them, (N, n, M, C, frames, V), all persons present; and labels."""
    (view,) = task.views(one)
    assert isinstance(view, Shuffled)
    assert view.source is None
    return view.x.unflatten(0, (len(one.x), task.config.clips, -1)), view.label


def rank(order: list[int]) -> int:
    """Number of a permutation in lexicographic order, by counting the smaller ones that are still to come."""
    return sum(
        sum(later < here for later in order[at + 1 :]) * math.factorial(len(order) - at - 1)
        for at, here in enumerate(order)
    )


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ({}, 8),
        ({"frames": 4}, 4),
        ({"gap": 0, "clips": 4}, 8),
        ({"clips": 2, "gap": 7}, 12),
        ({"clips": 5, "frames": 4, "gap": 1}, 4),
    ],
)
def test_segments_do_not_meet_and_the_label_is_the_number_of_their_order(options, length):
    task = order(recentre=False, **options)
    segments, labels = shown(task, batch(clocks()))
    clips, gap = task.config.clips, task.config.gap
    firsts = set()
    for segment, label in zip(segments[:, :, 0, 0, :, 0].long().tolist(), labels.tolist(), strict=True):
        starts = [frames[0] for frames in segment]
        assert all(frames == list(range(start, start + length)) for frames, start in zip(segment, starts, strict=True))
        in_time = sorted(starts)
        assert in_time[0] >= 0
        assert in_time[-1] + length <= FRAMES
        assert all(later - (start + length) >= gap for start, later in itertools.pairwise(in_time))
        assert label == rank([in_time.index(start) for start in starts])
        firsts.add(tuple(in_time))
    room = FRAMES - clips * length - (clips - 1) * gap
    assert (len(firsts) == 1) == (room == 0)
    assert (segments == segments[:, :, :1, :1, :, :1]).all()  # each joint and coordinate is cut alike


def test_orders_are_listed_from_first_to_last():
    assert order().orders.tolist() == [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]


def test_all_orders_and_places_are_equally_likely():
    task = order()
    starts, label = task.draw(Rng((1,), 6000))
    assert (label.bincount(minlength=6) - 1000).abs().max() < 150
    in_time = starts.sort(1).values - torch.arange(3) * (task.frames + 2)
    assert task.room == 4
    assert set(in_time.flatten().tolist()) == {0, 1, 2, 3, 4}
    assert (in_time.diff(dim=1) >= 0).all()
    for place in range(3):
        assert torch.equal(in_time[label == 0, place], starts[label == 0, place] - place * (task.frames + 2))


def test_persons_of_a_clip_are_cut_and_shuffled_alike():
    segments, _ = shown(order(recentre=False), batch(clocks(persons=2)))
    assert torch.equal(segments[:, :, 1], segments[:, :, 0] + 1000)


def test_only_persons_present_are_seen():
    task = order()
    present = torch.tensor([[True, True], [True, False]])
    x = torch.randn(2, 1, 3, FRAMES, 20, 2)
    (view,) = task.views(batch(x, present=present))
    (both,) = task.views(batch(x))
    one_by_one = both.x.unflatten(0, (2, 3, 2))
    assert torch.equal(view.x, torch.cat([one_by_one[0].flatten(0, 1), one_by_one[1, :, 0]]))


@pytest.mark.parametrize("stream", ["joint", "pose", "bone_motion"])
def test_recentring_takes_the_path_and_nothing_else(stream):
    x = torch.randn(8, 1, 3, FRAMES, 20, 2)
    elsewhere = x + 5 * torch.randn(8, 1, 3, 1, 1, 1)
    segments, _ = shown(order(stream), batch(x))
    moved, _ = shown(order(stream), batch(elsewhere))
    torch.testing.assert_close(moved, segments, rtol=0, atol=1e-5)
    if stream == "joint":
        kept, _ = shown(order(recentre=False), batch(x))
        assert not segments[:, :, 0, :, 0, LAYOUT.centre].any()
        shift = (kept - segments)[:, :, :1, :, :1, :1]
        torch.testing.assert_close(segments + shift, kept)  # one shift for all persons, frames and joints


def test_someone_who_glides_gives_nothing_away_but_without_recentring_does():
    pose = torch.randn(16, 1, 3, 1, 20, 1)
    glide = pose + torch.linspace(0, 3, FRAMES).view(1, 1, 1, -1, 1, 1)
    blind, _ = shown(order(), batch(glide))
    torch.testing.assert_close(blind, blind[:, :1].expand_as(blind), rtol=0, atol=1e-5)
    told, labels = shown(order(recentre=False), batch(glide))
    orders = told[:, :, 0, 0, 0, 0].argsort(1).argsort(1).tolist()
    assert [rank(order) for order in orders] == labels.tolist()


def rising(clips: int = 32) -> Tensor:
    """An arm that is lifted ever faster by someone of random build, at a random place."""
    generator = torch.Generator().manual_seed(0)
    x = 0.3 * torch.randn(clips, 1, 3, 1, 20, 1, generator=generator).expand(-1, -1, -1, FRAMES, -1, -1).clone()
    x[:, 0, 1, :, 5:9, 0] += torch.linspace(0, 3, FRAMES).square().view(1, -1, 1)
    return x


@pytest.mark.parametrize(("head", "steps"), [("pairwise", 50), ("lstm", 100)])
def test_the_arrow_of_time_is_learned(head, steps):
    task = order(head=head)
    optimizer = torch.optim.AdamW(task.parameters(), 1e-2)
    x = rising()
    first = task(batch(x))
    assert first["loss"].item() == pytest.approx(math.log(6), abs=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        task(batch(x, step))["loss"].backward()
        optimizer.step()
    with torch.no_grad():
        last = task(batch(x, 999))
        still = task(batch(x[:, :, :, :1].expand_as(x), 999))
    assert last["accuracy"] > 0.9
    assert last["loss"] < 0.5
    assert still["accuracy"] < 0.5  # nothing but motion tells it


@pytest.mark.parametrize("head", ["pairwise", "lstm"])
def test_loss_is_the_mean_over_clips_of_what_each_gives_alone(head):
    task = order(head=head).eval()
    x, present = torch.randn(4, 1, 3, FRAMES, 20, 2), torch.tensor([[True, True], [True, False]] * 2)
    one = batch(x, present=present)
    (view,) = task.views(one)
    with torch.no_grad():
        scalars = task(batch(x, present=present))
        losses, right = [], []
        rows = iter(view.x.split(1))
        for clip in range(4):
            vectors = []
            for _ in range(3):
                persons = [task.encoder.backbone(next(rows)).mean((2, 3))[0] for _ in range(int(present[clip].sum()))]
                vectors.append(sum(persons) / len(persons))
            chance = task.head(torch.stack(vectors)[None])[0].softmax(0)
            losses.append(-chance[view.label[clip]].log())
            right.append(float(chance.argmax() == view.label[clip]))
    torch.testing.assert_close(scalars["loss"], torch.stack(losses).mean())
    assert scalars["accuracy"] == pytest.approx(sum(right) / 4)


def test_the_pairwise_head_sees_each_pair_in_order():
    task = order()
    features = torch.randn(2, 3, 16)
    pairs = [torch.cat([features[:, i], features[:, j]], 1) for i, j in ((0, 1), (0, 2), (1, 2))]
    expected = task.head.leave(torch.cat([task.head.pair(pair).relu() for pair in pairs], 1))
    torch.testing.assert_close(task.head(features), expected)


def test_two_ranks_draw_what_one_draws():
    task = order()
    starts, label = task.draw(Rng((3, 1), 6))
    halves = [task.draw(Rng((3, 1), 3, start=start, total=6)) for start in (0, 3)]
    assert torch.equal(starts, torch.cat([half[0] for half in halves]))
    assert torch.equal(label, torch.cat([half[1] for half in halves]))
    assert not torch.equal(starts, task.draw(Rng((3, 2), 6))[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": 1}, "clips: input should be greater than or equal to 2"),
        ({"clips": 6}, "clips: input should be less than or equal to 5"),
        ({"frames": 6}, "pretext.frames: 6 is not a multiple of 4, the backbone's stride"),
        ({"frames": 12}, "data.num_frames: 32 frames are too short for 3 segments of 12 with gaps of 2; take 40 or"),
        ({"gap": 11}, "32 frames are too short for 3 segments of 4 with gaps of 11; take 34 or more"),
        ({"gap": 30}, "32 frames are too short for 3 segments of 4 with gaps of 30; take 72 or more"),
        ({"num_frames": 8}, "8 frames are too short for 3 segments of 4 with gaps of 2; take 16 or more"),
        ({"head": "gru"}, "head: unknown 'gru'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        order(**options)


def test_the_number_of_frames_asked_for_is_enough():
    assert order(num_frames=40, frames=12).room == 0
    assert order(num_frames=16).room == 0
