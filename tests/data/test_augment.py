"""Every entry of AUGMENTATIONS against one contract, then what is true of each alone."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from ssl_skel.batch import Rng
from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.data.augment.base import Augmentation
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.layouts import LAYOUTS

LAYOUT = LAYOUTS["kinect20"]
KEY = (0, 1, 2)
ZERO_STRENGTH: dict[str, dict[str, Any]] = {
    "rotate": {"max_degrees": 0.0},
    "shear": {"amount": 0.0},
    "scale": {"low": 1.0, "high": 1.0},
    "flip": {"probability": 0.0},
    "bones": {"amount": 0.0},
    "offset": {"sigma": 0.0},
    "jitter": {"sigma": 0.0},
    "joint_dropout": {"probability": 0.0},
    "frame_dropout": {"probability": 0.0},
    "reverse": {"probability": 0.0},
    "time_warp": {"strength": 0.0},
}
SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None)


def make(name: str, **options: Any) -> Augmentation:
    row = AUGMENTATIONS[name]
    return row(row.Config(name=name, **options), LAYOUT)


def clips(n: int = 6, channels: int = 3, frames: int = 9, persons: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, channels, frames, LAYOUT.num_joints, persons, generator=generator)


def distances(x: Tensor) -> Tensor:
    """Of all pairs of joints: (N, C, T, V, M) -> (N, T, M, V, V)."""
    points = x.permute(0, 2, 4, 3, 1)
    return (points[..., :, None, :] - points[..., None, :, :]).norm(dim=-1)


# ---- the contract


@pytest.mark.parametrize(("channels", "frames", "persons"), [(3, 9, 2), (2, 9, 1), (3, 1, 1)])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_contract(name: str, channels: int, frames: int, persons: int) -> None:
    assert AUGMENTATIONS[name].Config().name == name
    step, x = make(name), clips(6, channels, frames, persons)
    before = x.clone()
    out = step(x, Rng(KEY, 6))
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert torch.isfinite(out).all()
    assert torch.equal(x, before), "the input was written to"
    assert torch.equal(step(x, Rng(KEY, 6)), out), "the same key must give the same clips"


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_something_changes_and_not_the_same_for_all(name: str) -> None:
    x = clips(1, frames=20).expand(20, -1, -1, -1, -1)
    out = make(name)(x, Rng(KEY, 20))
    assert not torch.equal(out, x)
    assert any(not torch.equal(out[0], other) for other in out[1:])
    assert not torch.equal(make(name)(x, Rng((9, 9), 20)), out)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_zero_strength_changes_nothing(name: str) -> None:
    x = clips()
    assert torch.equal(make(name, **ZERO_STRENGTH[name])(x, Rng(KEY, 6)), x)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_clip_does_not_depend_on_the_others(name: str) -> None:
    x = clips()
    out = make(name)(x, Rng(KEY, 6))
    other = clips(seed=1)
    other[2] = x[2]
    assert torch.equal(make(name)(other, Rng(KEY, 6))[2], out[2])


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_ranks_together_give_what_one_gives(name: str) -> None:
    x = clips()
    parts = [make(name)(x[start : start + 2], Rng(KEY, 2, start=start, total=6)) for start in (0, 2, 4)]
    assert torch.equal(torch.cat(parts), make(name)(x, Rng(KEY, 6)))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_keeps_zero_tells_the_truth(name: str) -> None:
    x = clips()
    x[..., 1] = 0
    assert bool(make(name)(x, Rng(KEY, 6))[..., 1].any()) is not AUGMENTATIONS[name].keeps_zero


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_memory_order_does_not_matter(name: str) -> None:
    x = clips()
    strided = x.permute(0, 4, 2, 3, 1).contiguous().permute(0, 4, 2, 3, 1)
    assert not strided.is_contiguous()
    torch.testing.assert_close(make(name)(strided, Rng(KEY, 6)), make(name)(x, Rng(KEY, 6)))


# ---- all together


def test_augment_applies_its_steps_in_order() -> None:
    configs = [AUGMENTATIONS[name].Config() for name in ("shear", "flip")]
    x, present, rng = clips(), torch.ones(6, 2, dtype=torch.bool), Rng(KEY, 6)
    expected = make("flip")(make("shear")(x, rng), rng)
    assert torch.equal(Augment(configs, LAYOUT)(x, present, Rng(KEY, 6)), expected)


def test_absent_persons_stay_zero_through_all_of_them() -> None:
    configs = [row.Config() for row in AUGMENTATIONS.values()]
    present = torch.tensor([[True, False], [True, True], [False, True], [False, False]])
    x = clips(4) * present[:, None, None, None]
    out = Augment(configs, LAYOUT)(x, present, Rng(KEY, 4))
    assert torch.equal((out != 0).flatten(1, 3).any(1), present)


def test_no_augmentations_change_nothing() -> None:
    x = clips()
    assert Augment([], LAYOUT)(x, torch.ones(6, 2, dtype=torch.bool), Rng(KEY, 6)) is x


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rotate", {"max_degrees": -1.0}),
        ("rotate", {"max_degrees": (1.0, 2.0)}),
        ("rotate", {"max_degrees": (1.0, -2.0, 3.0)}),
        ("scale", {"low": 1.2, "high": 0.8}),
        ("scale", {"low": 0.0}),
        ("flip", {"probability": 1.5}),
        ("jitter", {"sigma": -0.1}),
        ("bones", {"amount": 1.0}),
        ("offset", {"sigma": -0.1}),
        ("time_warp", {"strength": -0.1}),
        ("time_warp", {"knots": 1}),
        ("shear", {"ammount": 0.1}),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(name, **options)


# ---- rotate


@quick
@given(SEEDS, st.floats(0, 180))
def test_rotation_keeps_all_distances(seed: int, degrees: float) -> None:
    x = clips(2, frames=3)
    out = make("rotate", max_degrees=degrees)(x, Rng((seed,), 2))
    torch.testing.assert_close(distances(out), distances(x), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(out.norm(dim=1), x.norm(dim=1), atol=1e-4, rtol=1e-4)


def test_rotation_is_rz_ry_rx_and_no_mirror_image() -> None:
    limit = (20.0, 90.0, 50.0)
    x = torch.eye(3)[None, :, None, :, None].repeat(4, 1, 1, 1, 1)  # joints at the unit vectors: out is the matrix
    got = make("rotate", max_degrees=limit)(x, Rng(KEY, 4))[:, :, 0, :, 0]
    angles = torch.deg2rad(Rng(KEY, 4).uniform(3, low=-1, high=1) * torch.tensor(limit)).double().numpy()
    for matrix, (a, b, c) in zip(got.double().numpy(), angles, strict=True):
        rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
        np.testing.assert_allclose(matrix, rz @ ry @ rx, atol=1e-6)
        assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-5)


def test_rotation_about_one_axis_leaves_it_alone_and_stays_in_range() -> None:
    x = clips(200, frames=1, persons=1)
    out = make("rotate", max_degrees=(0.0, 40.0, 0.0))(x, Rng(KEY, 200))
    torch.testing.assert_close(out[:, 1], x[:, 1], rtol=0, atol=0)
    before, after = (torch.complex(a[:, 2, 0, 0, 0], a[:, 0, 0, 0, 0]) for a in (x, out))
    turn = torch.rad2deg((after / before).angle())
    assert turn.abs().max() <= 40.01
    assert turn.max() > 35
    assert turn.min() < -35


def test_rotation_in_the_plane_uses_the_z_angle() -> None:
    x = clips(4, channels=2)
    out = make("rotate", max_degrees=(90.0, 90.0, 0.0))(x, Rng(KEY, 4))
    assert torch.equal(out, x)
    out = make("rotate", max_degrees=90.0)(x, Rng(KEY, 4))
    torch.testing.assert_close(distances(out), distances(x))


# ---- shear, scale, jitter


def test_shear_is_linear_with_unit_diagonal() -> None:
    step = make("shear", amount=0.3)
    unit = torch.eye(3)[None, :, None, :, None].repeat(50, 1, 1, 1, 1)
    matrix = step(unit, Rng(KEY, 50))[:, :, 0, :, 0]
    assert torch.equal(matrix.diagonal(dim1=1, dim2=2), torch.ones(50, 3))
    others = matrix[:, ~torch.eye(3, dtype=torch.bool)]
    assert 0.28 < others.abs().max() <= 0.3
    assert others.min() < 0 < others.max()
    x, y = clips(50, frames=2, persons=1), clips(50, frames=2, persons=1, seed=1)
    both = step(2 * x + y, Rng(KEY, 50))
    torch.testing.assert_close(both, 2 * step(x, Rng(KEY, 50)) + step(y, Rng(KEY, 50)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both[:, :, 0, 0, 0], torch.einsum("nij,nj->ni", matrix, (2 * x + y)[:, :, 0, 0, 0]))


@quick
@given(SEEDS)
def test_scale_scales_bone_lengths(seed: int) -> None:
    x = clips(3, frames=2)
    factor = distances(make("scale")(x, Rng((seed,), 3))) / distances(x)
    factor = factor[..., ~torch.eye(LAYOUT.num_joints, dtype=torch.bool)].flatten(1)
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    assert ((factor > 0.799) & (factor < 1.201)).all()


def test_scale_per_axis() -> None:
    x = clips()
    factor = (make("scale", per_axis=True)(x, Rng(KEY, 6)) / x).flatten(2)
    torch.testing.assert_close(factor, factor[..., :1].expand_as(factor))
    assert len(factor[..., 0].unique()) == 18


def test_jitter_has_the_wanted_strength_everywhere() -> None:
    x = clips(40, frames=20)
    noise = make("jitter", sigma=0.05)(x, Rng(KEY, 40)) - x
    assert noise.std().item() == pytest.approx(0.05, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.001)
    for axis in range(5):
        assert (noise.std(axis) > 0).all()


# ---- flip, reverse


def test_flip_twice_is_identity() -> None:
    step, x = make("flip", probability=1.0), clips()
    once = step(x, Rng(KEY, 6))
    assert not torch.equal(once, x)
    assert torch.equal(step(once, Rng(KEY, 6)), x)


def test_flip_mirrors_left_to_right() -> None:
    x = clips()
    out = make("flip", probability=1.0)(x, Rng(KEY, 6))
    left, right, head = (LAYOUT.joints.index(joint) for joint in ("left_hand", "right_hand", "head"))
    mirror = torch.tensor([-1.0, 1, 1])[:, None, None]
    for joint, source in ((left, right), (right, left), (head, head)):
        assert torch.equal(out[:, :, :, joint], x[:, :, :, source] * mirror)


@pytest.mark.parametrize("name", ["flip", "reverse"])
def test_probability_is_that_of_a_clip(name: str) -> None:
    x = clips(400, frames=3, persons=1)
    changed = (make(name, probability=0.3)(x, Rng(KEY, 400)) != x).flatten(1).any(1)
    assert 0.2 < changed.float().mean() < 0.4


def test_reverse_plays_backwards_and_twice_is_identity() -> None:
    step, x = make("reverse", probability=1.0), clips()
    once = step(x, Rng(KEY, 6))
    for frame in range(9):
        assert torch.equal(once[:, :, frame], x[:, :, 8 - frame])
    assert torch.equal(step(once, Rng(KEY, 6)), x)


# ---- dropout


def test_joint_dropout_drops_whole_joints_to_the_centre() -> None:
    x = clips(50)
    out = make("joint_dropout", probability=0.3)(x, Rng(KEY, 50))
    dropped = (out == 0).permute(0, 3, 1, 2, 4).flatten(2)  # (N, V, C * T * M)
    assert torch.equal(dropped.all(2), dropped.any(2))
    assert 0.25 < dropped.all(2).float().mean() < 0.35
    assert torch.equal(out[out != 0], x[out != 0])


@quick
@given(SEEDS, st.floats(0, 1))
def test_frame_dropout_bridges_gaps_on_straight_lines(seed: int, probability: float) -> None:
    x = clips(4, frames=12, persons=1)
    out = make("frame_dropout", probability=probability)(x, Rng((seed,), 4))
    luck = Rng((seed,), 4).uniform(12)
    for clip in range(4):
        kept = np.flatnonzero(luck[clip].numpy() >= np.float32(probability))
        kept = kept if len(kept) else np.array([int(luck[clip].argmax())])
        for channel in range(3):
            for joint in range(LAYOUT.num_joints):
                track = x[clip, channel, :, joint, 0].numpy()
                expected = np.interp(np.arange(12), kept, track[kept])
                np.testing.assert_allclose(out[clip, channel, :, joint, 0], expected, atol=1e-5)


def test_frame_dropout_of_all_frames_holds_one() -> None:
    x = clips()
    out = make("frame_dropout", probability=1.0)(x, Rng(KEY, 6))
    assert torch.equal(out, out[:, :, :1].expand_as(out))
    assert (out[:, :, :1] == x).all(dim=1).flatten(2).all(2).any(1).all()
