"""What every pretext must keep on every backbone. A new row of either table is tested by being there."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from batches import FRAMES, LAYOUT, batch_for, change, train

from ssl_skel.backbones import BACKBONES
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.pretexts import PRETEXTS, build_pretext
from ssl_skel.pretexts.base import Pretext

# Small sizes of rows whose defaults are large; a row that is small by default needs no entry.
TINY: dict[str, dict[str, Any]] = {
    **{name: {"size": "tiny"} for name in BACKBONES},
    "mpae_net": {"channels": [16, 16], "strides": [2, 2]},
    "skeleton_mae": {"decoder_dim": 16},
    "psp": {"projection": 16, "norm": "layer"},
    "vicreg": {"expander": 16},
    "s_jepa": {"predictor_dim": 16, "momentum": 0.9},
    "slim": {"prototypes": 16, "head_hidden": 16, "head_bottleneck": 8, "momentum": 0.9},
    "gfp": {
        "target_dim": 8,
        "target_hidden": 16,
        "global_hidden": 16,
        "decoder_dim": 16,
        "stretches": [2, 1],
        "variance": 0.1,
    },
}
DRAWS_NOTHING = {"psp", "vicreg"}  # their randomness is that of the loader's draws
# Later rows meet a network that drops what is hidden, one that keeps it and one that merges joints; others are slow.
LATER, KINDS = ("gfp", "s_jepa", "slim"), ("st_transformer", "slim_vit", "tcn")


def quick(pretext: str) -> tuple[str, ...]:
    """Networks that a pretext meets in the default tests."""
    return (
        KINDS if pretext in LATER else tuple(name for name in BACKBONES if name not in ("slim_vit", "dsta_net", "gin"))
    )


PAIRS = [
    pytest.param(*pair, marks=pytest.mark.slow if pair[1] not in quick(pair[0]) else ())
    for pair in itertools.product(PRETEXTS, BACKBONES)
    if pair != ("slim", "st_transformer")  # refused: it has no features of what is hidden
]


def small(pretext: str, backbone: str) -> dict[str, Any]:
    """Options of a small pretext; networks that merge joints have clips and their stretches to compare only."""
    if pretext == "combined":
        parts = ("skeleton_mae", "psp")
        return {"parts": [{"pretext": {"name": name, **small(name, backbone)}} for name in parts]}
    merged = pretext == "psp" and not BACKBONES[backbone].keeps_joints
    return TINY.get(pretext, {}) | ({"levels": ["clip", "time"]} if merged else {})


def make(pretext: str, backbone: str) -> Pretext:
    torch.manual_seed(0)
    net = parse_config(BACKBONES[backbone].Config, {"name": backbone, **TINY.get(backbone, {})}, "test")
    task = parse_config(PRETEXTS[pretext].Config, {"name": pretext, **small(pretext, backbone)}, "test")
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=FRAMES, stream="joint")
    return build_pretext(task, encoder)


def weights(task: Pretext) -> list[torch.Tensor]:
    return [value.clone() for value in task.state_dict().values()]


@pytest.mark.parametrize(("pretext", "backbone"), PAIRS)
def test_loss_falls_on_one_batch(pretext, backbone):
    if pretext == "slim":
        pytest.skip("its targets grow sharper as the centre moves, so its loss rises first; see test_slim.py")
    task = make(pretext, backbone)
    losses = train(task, lambda step: batch_for(task), 10)
    while losses[-1] >= 0.8 * losses[0] and len(losses) < 100:  # most need ten steps, few-channel ones more
        losses += train(task, lambda step: batch_for(task), 10)
    assert all(torch.tensor(losses).isfinite())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(("pretext", "backbone"), PAIRS)
def test_a_seeded_run_repeats_and_labels_change_nothing(pretext, backbone):
    first, again, poisoned = (make(pretext, backbone) for _ in range(3))
    garbage = torch.tensor([-1, 9**9, 3, -(7**9)])
    runs = [
        train(first, lambda step: batch_for(first, step), 3),
        train(again, lambda step: batch_for(again, step), 3),
        train(poisoned, lambda step: change(batch_for(poisoned, step), label=garbage), 3),
    ]
    assert runs[0] == runs[1] == runs[2]
    for a, b, c in zip(weights(first), weights(again), weights(poisoned), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


@pytest.mark.parametrize(("pretext", "backbone"), PAIRS)
def test_steps_draw_different_numbers(pretext, backbone):
    task = make(pretext, backbone).eval()
    same = task(batch_for(task, 0))["loss"] == task(batch_for(task, 1))["loss"]
    assert same == (pretext in DRAWS_NOTHING)


@pytest.mark.parametrize(("pretext", "backbone"), PAIRS)
def test_global_random_numbers_are_not_used(pretext, backbone):
    task = make(pretext, backbone)
    state = torch.get_rng_state()
    task(batch_for(task))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(("pretext", "backbone"), PAIRS)
def test_absent_persons_have_no_influence(pretext, backbone):
    task = make(pretext, backbone)
    batch = batch_for(task)
    absent = ~batch.present[:, None, None, None, None, :].expand_as(batch.x)
    noisy = change(batch_for(task), x=torch.where(absent, torch.nan, batch.x))
    before = weights(task)
    plain = task(batch)["loss"]
    for value, old in zip(task.state_dict().values(), before, strict=True):
        value.copy_(old)  # running statistics
    assert torch.equal(plain, task(noisy)["loss"])


@pytest.mark.parametrize(("pretext", "backbone"), PAIRS)
def test_gradient_reaches_everything(pretext, backbone):
    task = make(pretext, backbone)
    hides = any(view.mask is not None for view in task.views(batch_for(task)))
    task(batch_for(task))["loss"].backward()
    used = [(name, value) for name, value in task.named_parameters() if hides or "_token" not in name]
    missing = [name for name, value in used if value.requires_grad and value.grad is None]
    assert not missing
    dead = [name for name, value in used if name.startswith("encoder.") and not value.grad.any()]
    assert not [name for name in dead if "token" not in name]


@pytest.mark.parametrize(("pretext", "backbone"), PAIRS)
def test_two_ranks_average_to_one(pretext, backbone):
    task = make(pretext, backbone).eval()
    if task.couples_clips:
        pytest.skip("ranks share features; test_ranks.py runs two real ones")
    with torch.no_grad():
        whole = task(batch_for(task))["loss"]
        halves = [task(batch_for(task, rows=slice(start, start + 2)))["loss"] for start in (0, 2)]
    torch.testing.assert_close(whole, torch.stack(halves).mean())


@pytest.mark.parametrize(("pretext", "backbone"), PAIRS)
def test_it_gives_as_many_views_as_it_says(pretext, backbone):
    task = make(pretext, backbone)
    assert len(task.views(batch_for(task))) == task.num_inputs


@pytest.mark.parametrize(("pretext", "backbone"), PAIRS)
def test_wrong_frames_are_refused(pretext, backbone):
    task = make(pretext, backbone)
    batch = batch_for(task)
    wrong = 9 if task.encoder.backbone.t_stride > 1 else 0  # any other number of frames fits a stride of 1
    with pytest.raises((ValueError, RuntimeError)):
        task(change(batch, x=batch.x[:, :, :, :wrong]))
