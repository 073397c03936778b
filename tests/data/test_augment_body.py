"""Augmentations of body proportions, against loops over the layout's tree."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ssl_skel.batch import Rng
from ssl_skel.data.augment.body import Bones, Offset
from ssl_skel.data.augment.config import BonesConfig, OffsetConfig
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.layouts import LAYOUTS
from ssl_skel.layouts.layout import SkeletonLayout

KEY = (4, 0, 7)
KINECT = LAYOUTS["kinect20"]


def clips(layout: SkeletonLayout, *, n: int = 4, channels: int = 3, frames: int = 5, persons: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, channels, frames, layout.num_joints, persons, generator=generator)


def lengths(x: Tensor, layout: SkeletonLayout) -> Tensor:
    """Of the bones, (N, T, bones, M)."""
    child, parent = (list(ends) for ends in zip(*layout.bones, strict=True))
    return (x[:, :, :, child] - x[:, :, :, parent]).norm(dim=1)


def rebuilt(places: Tensor, growth: Tensor, layout: SkeletonLayout) -> Tensor:
    """One person's joints (V, C) with each bone, (V,), grown by its share: a walk from the root to the tips."""
    found = {layout.root: places[layout.root]}
    while len(found) < layout.num_joints:
        for child, parent in layout.bones:
            if parent in found:
                found[child] = found[parent] + (1 + growth[child]) * (places[child] - places[parent])
    return torch.stack([found[joint] for joint in range(layout.num_joints)])


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("channels", [2, 3])
def test_bones_rebuild_the_body_from_the_root(name: str, channels: int) -> None:
    layout = LAYOUTS[name]
    x = clips(layout, n=2, channels=channels, frames=3)
    out = Bones(BonesConfig(amount=0.4), layout)(x, Rng(KEY, 2))
    growth = Rng(KEY, 2).uniform(2, layout.num_joints, 1, low=-0.4, high=0.4)
    for clip, frame, person in ((n, t, m) for n in range(2) for t in range(3) for m in range(2)):
        expected = rebuilt(x[clip, :, frame, :, person].T, growth[clip, person, :, 0], layout)
        torch.testing.assert_close(out[clip, :, frame, :, person].T, expected, atol=1e-5, rtol=1e-5)


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.9))
def test_each_bone_has_one_factor_for_all_frames_and_keeps_its_direction(seed: int, amount: float) -> None:
    x = clips(KINECT)
    out = Bones(BonesConfig(amount=amount), KINECT)(x, Rng((seed,), 4))
    assert torch.equal(out[:, :, :, KINECT.root], x[:, :, :, KINECT.root])
    factor = lengths(out, KINECT) / lengths(x, KINECT)
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor), atol=1e-3, rtol=1e-3)
    assert ((factor - 1).abs() <= amount + 1e-3).all()
    for child, parent in KINECT.bones:
        one, other = (y[:, :, :, child] - y[:, :, :, parent] for y in (x, out))
        cosine = torch.cosine_similarity(one, other, dim=1)
        torch.testing.assert_close(cosine, torch.ones_like(cosine), atol=1e-3, rtol=0)


def test_factors_are_drawn_anew_for_each_clip_person_and_bone_and_fill_the_range() -> None:
    x = clips(KINECT, n=100, frames=1)
    factor = (lengths(Bones(BonesConfig(), KINECT)(x, Rng(KEY, 100)), KINECT) / lengths(x, KINECT))[:, 0]
    assert 0.74 < factor.min() < 0.76
    assert 1.24 < factor.max() < 1.26
    for axis in range(3):
        assert factor.std(axis).mean() > 0.08  # 0 where one factor was shared


def test_offset_is_one_vector_a_joint_of_the_wanted_size() -> None:
    x = clips(KINECT, n=60)
    offset = Offset(OffsetConfig(sigma=0.2), KINECT)(x, Rng(KEY, 60)) - x
    torch.testing.assert_close(offset, offset[:, :, :1].expand_as(offset), atol=1e-5, rtol=0)
    torch.testing.assert_close(offset[:, :, 0], 0.2 * Rng(KEY, 60).normal(3, 1, 20, 2)[:, :, 0], atol=1e-5, rtol=0)
    offset = offset[:, :, 0]
    assert offset.std().item() == pytest.approx(0.2, rel=0.05)
    for axis in range(4):
        assert offset.std(axis).mean() > 0.1  # 0 where one vector was shared


def test_an_absent_person_stays_zero_and_scores_stay_scores() -> None:
    scored = LAYOUTS["coco17"].with_score()
    present = torch.tensor([[True, False], [True, True], [False, True]])
    x = clips(scored, n=3) * present[:, None, None, None]
    out = Augment([BonesConfig(), OffsetConfig()], scored)(x, present, Rng(KEY, 3))
    assert torch.equal(out[:, 2], x[:, 2])
    assert torch.equal((out[:, :2] != x[:, :2]).flatten(1, 3).any(1), present)
    assert not out.movedim(4, 1)[~present].any()
