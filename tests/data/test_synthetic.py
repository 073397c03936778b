from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.synthetic import ACTIONS, SyntheticConfig, generate, write_synthetic
from ssl_skel.data.synthetic.actions import Style
from ssl_skel.data.synthetic.drawn import draw_action
from ssl_skel.data.synthetic.performance import draw_person, mirrored, perform
from ssl_skel.data.synthetic.sensor import place_cameras
from ssl_skel.data.synthetic.skeleton import ANKLE_HEIGHT, JOINT, LAYOUT, articulate, bend_limb, make_body, standing
from ssl_skel.errors import UserError

ANKLES, FEET = ([JOINT[f"{side}_{name}"] for side in ("left", "right")] for name in ("ankle", "foot"))


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    child, parent = np.array(LAYOUT.bones).T
    return np.linalg.norm(joints[..., child, :] - joints[..., parent, :], axis=-1)


def act(name: str, seed: int, left_handed: bool = False, heading: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    persons = [replace(draw_person(rng), left_handed=left_handed) for _ in ACTIONS[name].moves]
    return perform(ACTIONS[name], persons, heading, rng)


def raw_nearest_neighbour(store: Store, train: np.ndarray, test: np.ndarray) -> float:
    def feature(row: int) -> np.ndarray:
        clip = store.clip(row)
        clip = clip[:, np.linspace(0, clip.shape[1] - 1, 20).round().astype(int)]
        both = np.zeros((2, *clip.shape[1:]))
        both[: len(clip)] = clip - clip[:1, :, [LAYOUT.centre]]
        return both.ravel()

    known, asked = (np.stack([feature(row) for row in rows]) for rows in (train, test))
    distance = (known**2).sum(1) - 2 * asked @ known.T
    return float((store.label[train][distance.argmin(1)] == store.label[test]).mean())


def test_same_config_same_bytes(tmp_path: Path) -> None:
    config = SyntheticConfig(subjects=2, cameras=2, repetitions=1, seed=3)
    for name in ("a", "b"):
        write_synthetic(tmp_path / name, config)
    write_synthetic(tmp_path / "c", config.model_copy(update={"seed": 4}))
    for file in ("joints.npy", "clips.npz", "meta.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert Store.open(tmp_path / "a").sha256 != Store.open(tmp_path / "c").sha256


def test_store_follows_the_config(motions: Path) -> None:
    store = Store.open(motions)
    assert len(store) == len(ACTIONS) * 4 * 2
    assert store.class_names == tuple(ACTIONS)
    assert set(store.subject) == {1, 2, 3, 4}
    assert set(store.camera) == {1, 2}
    assert np.bincount(store.label).tolist() == [8] * len(ACTIONS)
    assert store.frames.min() >= 25
    assert store.frames.max() <= 160
    assert len(np.unique(store.frames)) > 20
    np.testing.assert_array_equal(store.persons, [len(ACTIONS[store.class_names[i]].moves) for i in store.label])
    assert np.isfinite(store.joints).all()
    assert np.abs(store.joints).max() < 4


def test_more_subjects_leave_the_others_as_they_are() -> None:
    few, more = (list(generate(SyntheticConfig(subjects=n, cameras=2, repetitions=1))) for n in (2, 3))
    for one, other in zip(few, more, strict=False):
        assert one.name == other.name
        np.testing.assert_array_equal(one.joints, other.joints)


def test_random_movements_are_a_store_without_labels(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "few", SyntheticConfig(random=5))
    write_synthetic(tmp_path / "more", SyntheticConfig(random=8))
    few, more = (Store.open(tmp_path / name) for name in ("few", "more"))
    assert (len(few), len(more), few.max_persons) == (5, 8, 1)
    assert few.class_names == ()
    assert set(few.provenance.config) == {"random", "noise", "dropout", "seed"}
    assert set(few.label) == set(few.subject) == set(few.camera) == {-1}
    for clip in range(5):  # more of them leave the first as they are
        np.testing.assert_array_equal(few.clip(clip), more.clip(clip))
    assert np.isfinite(few.joints).all()
    assert np.abs(few.joints).max() < 4
    with pytest.raises(ValueError, match="random movements have no cameras; leave that out"):
        SyntheticConfig(random=5, cameras=2)


@pytest.mark.parametrize("seed", range(40))
def test_random_movements_are_those_of_a_body(seed: int) -> None:
    rng = np.random.default_rng(seed)
    joints = perform(draw_action(rng), [draw_person(rng)], 0.0, rng)
    lengths = bone_lengths(joints)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[:, :1], lengths.shape), atol=1e-9)
    assert joints[..., FEET, 1].min() > -0.05  # nothing goes through the floor
    assert joints[..., JOINT["head"], 1].min() > 0.3
    assert np.linalg.norm(np.diff(joints, axis=1), axis=-1).max() < 0.6  # metres a frame: nobody flies


def test_random_movements_begin_at_rest_and_a_fifth_stay() -> None:
    """Each part of the body takes part in some; a fifth of the hands end elsewhere; feet end under the body."""
    style, rest = Style(1.0, 1.0, 1.0, np.zeros(3)), standing(9)
    moved: set[str] = set()
    stays, rise = [], []
    for seed in range(300):
        pose = draw_action(np.random.default_rng(seed)).moves[0](np.linspace(0, 1, 9), style)
        for field in fields(pose):
            way = getattr(pose, field.name) - getattr(rest, field.name)
            np.testing.assert_allclose(way[0], 0, atol=1e-12)
            if way.any():
                moved.add(field.name)
        rise.append(max(pose.lead_foot[:, 1].max(), pose.other_foot[:, 1].max()) > 0.02)
        np.testing.assert_allclose(pose.lead_foot[-1], pose.other_foot[-1] * (-1, 1, 1), atol=1e-12)
        np.testing.assert_allclose(pose.pelvis[-1, 0], pose.other_foot[-1, 0], atol=1e-12)
        hand = pose.lead_hand - rest.lead_hand
        if np.abs(hand).max() > 0.01:
            stays.append(np.abs(hand[-1]).max() > 0.01)
    still = {"lead_elbow", "other_elbow", "grip", "grip_at"}
    assert moved == {field.name for field in fields(rest)} - still
    assert 0.1 < np.mean(stays) < 0.3
    assert 0.2 < np.mean(rise) < 0.4


def test_random_movements_differ_more_than_two_performances() -> None:
    """The same movement by two persons is closer than two movements by one."""

    def moves(action: int, person: int) -> np.ndarray:
        drawn, rng = np.random.default_rng(action), np.random.default_rng([7, person])
        someone = replace(draw_person(rng), left_handed=False)
        joints = perform(draw_action(drawn), [someone], 0.0, rng)[0]
        joints = joints[np.linspace(0, len(joints) - 1, 32).round().astype(int)]
        joints = joints - joints[:, [LAYOUT.centre]]
        return joints - joints.mean(0)

    again, others = [], []
    for action in range(60):
        one = moves(action, 1)
        again.append(np.linalg.norm(one - moves(action, 2)))
        others.append(np.linalg.norm(one - moves(action + 1, 1)))
    assert np.mean(again) < np.mean(others)


def test_splits(motions: Path) -> None:
    store = Store.open(motions)
    for name, columns in {"xsub": ["subject"], "xview": ["camera"], "unseen": ["subject", "camera"]}.items():
        split = load_split(store, name)
        for column in columns:
            values = getattr(store, column)
            assert not set(values[split.train]) & set(values[split.test])
        assert set(store.label[split.train]) == set(store.label[split.test]) == set(range(len(ACTIONS)))
    assert (len(split.train), len(split.test)) == (2 * len(ACTIONS), 2 * len(ACTIONS))


def test_default_size() -> None:
    config = SyntheticConfig()
    assert (config.subjects, config.cameras, config.repetitions) == (10, 3, 2)
    with pytest.raises(ValueError, match="cameras"):
        SyntheticConfig(cameras=1)


def test_existing_store_is_kept(motions: Path) -> None:
    with pytest.raises(UserError, match="exists already"):
        write_synthetic(motions, SyntheticConfig(subjects=2, cameras=2, repetitions=1))


@pytest.mark.parametrize("name", ACTIONS)
def test_bones_keep_their_length(name: str) -> None:
    lengths = bone_lengths(act(name, 1))
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[:, :1], lengths.shape), atol=1e-9)


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("seed", range(4))
def test_feet_stay_near_the_floor(name: str, seed: int) -> None:
    joints = act(name, seed)
    assert joints[..., FEET, 1].min() > -0.02
    assert joints[..., 1].min() > -0.05
    lowest = joints[..., ANKLES, 1].min(-1)
    if name == "jump":
        assert lowest.max() > ANKLE_HEIGHT + 0.12
        assert np.ptp(lowest[:, [0, -1]]) < 1e-6
    else:
        np.testing.assert_allclose(lowest, ANKLE_HEIGHT, atol=0.02)


@pytest.mark.parametrize("name", ACTIONS)
def test_knees_bend_forward(name: str) -> None:
    phase = np.linspace(0, 1, 50)
    body = make_body()
    for move in ACTIONS[name].moves:
        joints = articulate(body, move(phase, Style(1.0, 1.0, 1.0, np.array([0, 0.2, 0.4]))))
        for side in ("left", "right"):
            hip, knee, ankle = (joints[:, JOINT[f"{side}_{part}"]] for part in ("hip", "knee", "ankle"))
            shin, thigh = ankle - knee, knee - hip
            assert (np.cross(thigh, shin)[:, 0] > -1e-9).all()  # turns backwards about the axis to the left


def test_standing_is_upright_and_symmetric() -> None:
    body = make_body()
    joints = articulate(body, standing(3))
    assert 1.55 < joints[0, JOINT["head"], 1] < 1.75
    np.testing.assert_allclose(mirrored(joints), joints, atol=1e-12)
    assert (joints[:, JOINT["left_shoulder"], 0] > 0).all()
    assert (joints[:, FEET, 2] > joints[:, ANKLES, 2]).all()


def test_limb_reaches_its_target() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(size=(50, 3))
    target *= (rng.uniform(0.2, 0.54, 50) / np.linalg.norm(target, axis=1))[:, None]
    for sign in (1.0, -1.0):
        upper, lower = bend_limb(target, 0.3, 0.25, np.tile([0.3, 0.1, -1.0], (50, 1)), sign)
        for matrix in (upper, lower):
            np.testing.assert_allclose(matrix @ matrix.swapaxes(1, 2), np.tile(np.eye(3), (50, 1, 1)), atol=1e-12)
            np.testing.assert_allclose(np.linalg.det(matrix), 1, atol=1e-12)
        np.testing.assert_allclose(upper @ [0, -0.3, 0] + lower @ [0, -0.25, 0], target, atol=1e-12)


def test_left_handers_are_mirror_images() -> None:
    for name in ("wave", "throw", "kick"):
        right, left = (act(name, 5, left_handed=handed) for handed in (False, True))
        np.testing.assert_allclose(left, mirrored(right), atol=1e-12)
        assert np.abs(left - right).max() > 0.3
    hand = {True: "left_wrist", False: "right_wrist"}
    for handed, busy in hand.items():
        joints = act("wave", 5, left_handed=handed)[0]
        assert joints[:, JOINT[busy], 1].max() > joints[:, JOINT[hand[not handed]], 1].max() + 0.3


def test_sitting_down_and_standing_up_share_their_postures() -> None:
    phase = np.linspace(0, 1, 21)
    style = Style(1.0, 1.0, 1.0, np.zeros(3))
    down, up = (ACTIONS[name].moves[0](phase, style) for name in ("sit_down", "stand_up"))
    for field in fields(down):
        np.testing.assert_allclose(getattr(down, field.name), getattr(up, field.name)[::-1], atol=1e-12)


def test_two_persons_face_each_other_and_meet() -> None:
    joints = act("shake_hands", 2)
    wrists = joints[:, :, JOINT["right_wrist"]]
    apart = np.linalg.norm(wrists[0] - wrists[1], axis=-1)
    assert apart.min() < 0.25
    assert apart[0] > 0.5
    toes = (joints[:, :, FEET] - joints[:, :, ANKLES]).mean((1, 2))
    assert toes[0] @ toes[1] < 0
    bodies = joints[:, :, JOINT["spine_base"]]
    assert np.linalg.norm(bodies[0] - bodies[1], axis=-1).min() > 0.5


def test_cameras_turn_but_do_not_bend() -> None:
    joints = act("throw", 3)
    cameras = place_cameras(3, 180, np.random.default_rng(0))
    np.testing.assert_allclose([camera.yaw for camera in cameras], [-np.pi / 2, 0, np.pi / 2])
    views = [camera.see(joints) for camera in cameras]
    for view in views:
        np.testing.assert_allclose(bone_lengths(view), bone_lengths(joints))
        assert 1.5 < view[..., 2].mean() < 5
    front = views[1][0, 0]
    assert front[JOINT["left_shoulder"], 0] < front[JOINT["right_shoulder"], 0]  # as a Kinect sees it
    across = [np.ptp(view[0, 0, list(LAYOUT.across), 0]) for view in views]
    assert across[1] > 2 * max(across[0], across[2])


def test_noise_level() -> None:
    quiet, noisy = (
        list(generate(SyntheticConfig(subjects=2, cameras=2, repetitions=1, dropout=0, noise=noise)))
        for noise in (0.0, 0.02)
    )
    error = np.concatenate([(b.joints - a.joints).ravel() for a, b in zip(quiet, noisy, strict=True)])
    assert 0.01 < error.std() < 0.08
    assert abs(error.mean()) < 0.002
    for clip in quiet:
        lengths = bone_lengths(clip.joints)
        np.testing.assert_allclose(lengths, np.broadcast_to(lengths[:, :1], lengths.shape), atol=1e-5)


def test_dropouts_appear_and_are_filled() -> None:
    config = SyntheticConfig(subjects=2, cameras=2, repetitions=1, dropout=1)
    clips = list(generate(config))
    lost = [np.isnan(clip.joints) for clip in clips]
    assert all(gaps.any() for gaps in lost)
    assert not any(gaps.all() for gaps in lost)
    assert any(gaps.all((2, 3)).any() for gaps in lost)  # a whole person
    late = [gaps[1, 0].all() and not gaps[1, -1].all() for gaps in lost if len(gaps) == 2]
    assert any(late)
    for clip in clips:
        joints, filled = normalize(clip.joints, LAYOUT, NormalizeConfig())
        assert np.isfinite(joints).all()
        assert filled
    whole = generate(SyntheticConfig(subjects=2, cameras=2, repetitions=1, dropout=0))
    assert not any(np.isnan(clip.joints).any() for clip in whole)


def test_raw_coordinates_do_badly_on_unseen_subjects_and_cameras(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "motions", SyntheticConfig(subjects=6, repetitions=1))
    store = Store.open(tmp_path / "motions")
    accuracy = {name: raw_nearest_neighbour(store, *sides(store, name)) for name in ("unseen", "xsub")}
    assert accuracy["unseen"] < 0.5
    assert accuracy["xsub"] > accuracy["unseen"]  # cameras are what makes it hard


def sides(store: Store, name: str) -> tuple[np.ndarray, np.ndarray]:
    split = load_split(store, name)
    return split.train, split.test
