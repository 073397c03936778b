"""Masks: exact counts, what belongs together is hidden together, and MAMP's scores against a loop."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ssl_skel.batch import Rng
from ssl_skel.config import EntryConfig, parse_config
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.pretexts.masking import MASKS
from ssl_skel.pretexts.masking.config import MaskConfig
from ssl_skel.pretexts.masking.draw import frame_mask, hide_highest, joint_mask, motion_per_unit, segments, token_mask
from ssl_skel.pretexts.masking.masks import Masking

LAYOUT = LAYOUTS["kinect20"]
EACH = torch.arange(20)


def row(name: str, layout: str = "kinect20", **options: object) -> Masking:
    config: EntryConfig = parse_config(MASKS[name].Config, {"name": name, **options}, "test")
    assert isinstance(config, MaskConfig)
    return MASKS[name](config, LAYOUTS[layout])


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(MASKS)),
    layout=st.sampled_from(sorted(LAYOUTS)),
    units=st.integers(1, 12),
    unit=st.integers(1, 3),
    persons=st.integers(1, 2),
    first=st.floats(0, 1),
    second=st.floats(0, 1),
    tube=st.integers(1, 14),
    block=st.integers(1, 14),
    level=st.sampled_from(["joint", "part", "body"]),
    seed=st.integers(0, 99),
)
def test_counts_are_exact_and_every_person_has_both_kinds(
    name, layout, units, unit, persons, first, second, tube, block, level, seed
):
    levels = {"frame_ratio": first, "joint_ratio": second, "block": block}
    options = {"tube": tube, "level": level, **(levels if name in ("union", "nested") else {"ratio": first})}
    mask, joints = row(name, layout, **options), LAYOUTS[layout].num_joints
    assume(0 < mask.hidden(units) < units * joints)
    mask.check(units)
    x = torch.randn(3, 3, units * unit, joints, persons, generator=torch.Generator().manual_seed(seed))
    drawn = mask(Rng((seed,), 3), x, unit)
    assert drawn.shape == (3, persons, units, joints)
    assert drawn.dtype == torch.bool
    assert (drawn.sum((2, 3)) == mask.hidden(units)).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("union", 6 * 20 + 10 * 8), ("nested", 6 * 8), ("random", 288), ("motion", 288)],
)
def test_default_ratios_hide_what_the_formulas_say(name, expected):
    assert row(name).hidden(16) == expected


def test_union_and_nested_are_or_and_and_of_the_same_two_levels():
    x = torch.zeros(4, 3, 32, 20, 1)
    union, nested = (row(name)(Rng((7,), 4), x, 2) for name in ("union", "nested"))
    whole = union.all(-1)  # the frame level; it picks 6 of 16
    assert (whole.sum(-1) == 6).all()
    assert (union[~whole].sum(-1) == 8).all()
    assert not nested[~whole].any()
    assert (nested[whole].sum(-1) == 8).all()


@pytest.mark.parametrize(("ratio", "hides"), [(0.0, 0), (0.001, 0), (1.0, 160)])
def test_ratios_that_hide_nothing_or_everything_are_refused(ratio, hides):
    with pytest.raises(UserError, match=f"hides {hides} of 160 units"):
        row("random", ratio=ratio).check(8)


@pytest.mark.parametrize("name", sorted(MASKS))
def test_a_clip_sees_the_same_mask_on_any_number_of_ranks(name):
    x = torch.randn(6, 3, 16, 20, 2)
    whole = row(name, tube=2)(Rng((1, 2), 6), x, 2)
    parts = [row(name, tube=2)(Rng((1, 2), 2, start=s, total=6), x[s : s + 2], 2) for s in (0, 2, 4)]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(whole[0], whole[1])
    assert not torch.equal(whole[:, 0], whole[:, 1])


def boundaries(path: torch.Tensor) -> list[int]:
    """Units at which a mask (U, ...) differs from the unit before."""
    return [t for t in range(1, len(path)) if not torch.equal(path[t], path[t - 1])]


@pytest.mark.parametrize("length", [2, 3, 5])
def test_tubes_hide_the_same_joints_and_start_anywhere(length):
    drawn = joint_mask(Rng((0,), 40), 1, 15, EACH, count=8, tube=length)
    starts = set()
    for path in drawn[:, 0]:
        phases = {t % length for t in boundaries(path)}
        assert len(phases) == 1  # every change falls on one grid
        starts |= phases
    assert starts == set(range(length))


@pytest.mark.parametrize("length", [2, 3, 5])
def test_blocks_hide_consecutive_frames(length):
    drawn = frame_mask(Rng((0,), 40), 1, 15, 20, count=7, block=length)
    assert (drawn.all(-1) == drawn.any(-1)).all()
    for path in drawn[:, 0, :, 0]:
        changes = boundaries(path)
        off_grid = min(sum(t % length != phase for t in changes) for phase in range(length))
        assert off_grid <= 1  # only the block that the count cuts short


def test_token_tubes_are_whole_but_for_one():
    drawn = token_mask(Rng((0,), 20), 1, 12, EACH, count=70, tube=4)
    for row_number, plane in enumerate(drawn[:, 0]):
        run = segments(Rng((0,), 20), 1, 12, 4)[row_number, 0]
        share = torch.stack([plane[run == r].float().mean(0) for r in run.unique()])
        assert ((share > 0) & (share < 1)).sum() <= 1


def test_groups_are_hidden_together():
    groups = torch.as_tensor(LAYOUT.membership("body").argmax(0))
    sizes = groups.bincount()
    drawn = joint_mask(Rng((0,), 50), 1, 4, groups, count=9)
    per_group = torch.stack([drawn[..., groups == g].sum(-1) for g in range(len(sizes))], -1)
    partial = (per_group > 0) & (per_group < sizes)
    assert (partial.sum(-1) <= 1).all()
    assert not partial.all()


def test_every_unit_is_hidden_equally_often():
    rng = Rng((3,), 4000)
    for drawn in (token_mask(rng, 1, 5, EACH, count=40), joint_mask(rng, 1, 5, EACH, count=8),
                  frame_mask(rng, 1, 5, 20, count=2)):  # fmt: skip
        assert (drawn.float().mean(0) - 0.4).abs().max() < 0.05


def test_hide_highest_takes_the_first_of_equal_scores():
    assert hide_highest(torch.tensor([1.0, 2.0, 2.0, 2.0]), 2).tolist() == [False, True, True, False]


def test_motion_per_unit_is_mamps_patch_difference():
    x, u = torch.randn(2, 3, 12, 4, 2), 3
    measured = motion_per_unit(x, u)
    for n in range(2):
        for m in range(2):
            for v in range(4):
                for t in range(4):
                    here = max(t, 1)  # the first unit copies the second
                    change = [
                        abs(x[n, c, here * u + f, v, m] - x[n, c, (here - 1) * u + f, v, m])
                        for c in range(3)
                        for f in range(u)
                    ]
                    assert measured[n, m, t, v] == pytest.approx(float(sum(change)) / 9, rel=1e-5)


def test_motion_of_a_single_unit_is_zero():
    assert not motion_per_unit(torch.randn(1, 3, 4, 20, 1), 4).any()


def test_motion_scores_are_log_softmax_plus_gumbel():
    """MAMP's selection, written out one unit at a time from the same uniform numbers."""
    units, tau, count = 6, 0.7, 100
    motion = torch.rand(3, 1, units, 20, generator=torch.Generator().manual_seed(0))
    drawn = token_mask(Rng((5,), 3), 1, units, EACH, count=count, motion=motion, temperature=tau)
    rng = Rng((5,), 3)
    segments(rng, 1, units, 1)
    noise = rng.uniform(1, units, 20)
    for n in range(3):
        logits = {(t, v): float(motion[n, 0, t, v] / (tau * motion[n].max())) for t in range(units) for v in range(20)}
        total = sum(math.exp(value) for value in logits.values())
        score = {
            (t, v): math.log(math.exp(value) / total) - math.log(-math.log(float(noise[n, 0, t, v])))
            for (t, v), value in logits.items()
        }
        visible = sorted(score, key=lambda key: score[key])[: units * 20 - count]
        assert {(t, v) for t in range(units) for v in range(20) if not drawn[n, 0, t, v]} == set(visible)


def test_a_low_temperature_hides_what_moves():
    x = torch.zeros(2, 3, 8, 20, 1)
    x[:, :, :, 5:10] = 0.1 * torch.randn(2, 3, 8, 5, 1)
    drawn = row("motion", ratio=0.25, temperature=1e-3)(Rng((0,), 2), x, 2)
    assert drawn[..., 5:10].all()
    assert drawn.sum() == 2 * 20


def test_a_still_person_is_masked_at_random():
    drawn = row("motion", ratio=0.5)(Rng((0,), 64), torch.zeros(64, 3, 8, 20, 1), 2)
    assert (drawn.float().mean(0) - 0.5).abs().max() < 0.3


def test_motion_of_a_tube_is_the_mean_of_its_units():
    motion = torch.zeros(1, 1, 4, 20)
    motion[0, 0, 0, 3] = 1.0  # one unit moves; its tube is the surest to be hidden, as a whole
    drawn = token_mask(Rng((0,), 1), 1, 4, EACH, count=4, tube=4, motion=motion, temperature=1e-4)
    run = segments(Rng((0,), 1), 1, 4, 4)[0, 0]
    assert drawn[0, 0, run == run[0], 3].all()
