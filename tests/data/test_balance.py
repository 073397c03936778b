"""Balanced sampling of merged stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.data.balance import chances, draw, set_by_set
from ssl_skel.data.clip import RawClip
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.merge import merge
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout, parse_layout

LABELS = {"large": [0] * 30 + [1] * 9 + [-1], "small": [-1] * 4}


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """40 clips of two classes and one without a label, then 4 clips without labels."""
    folder, random = tmp_path_factory.mktemp("balance"), np.random.default_rng(0)
    for name, labels in LABELS.items():
        with StoreWriter(folder / name, LAYOUTS["sbu15"], ("a", "b"), normalization=NormalizeConfig()) as writer:
            for number, label in enumerate(labels):
                writer.add(RawClip(f"{number}", random.normal(size=(1, 6, 15, 3)).astype("f4"), label=label))
    return Store.open(merge([folder / name for name in LABELS], folder / "both", "common15", progress=False))


def times(store: Store, balance: str, epoch: int = 0) -> np.ndarray:
    """How often each clip is drawn in an epoch."""
    loader = ClipLoader(store, range(44), num_frames=4, batch_size=8, shuffle=True, balance=balance)
    return np.bincount(np.concatenate([batch.index for batch in loader.epoch(epoch)]), minlength=44)


def test_without_balance_every_clip_is_drawn_once(merged: Store) -> None:
    assert (times(merged, "none") == 1).all()


def test_sets_are_drawn_equally_often(merged: Store) -> None:
    drawn = times(merged, "set")
    assert drawn[:40].sum() == drawn[40:].sum() == 22
    assert set(drawn[40:].tolist()) <= {5, 6}
    assert drawn[:40].max() == 1


def test_classes_are_drawn_equally_often_within_sets(merged: Store) -> None:
    drawn = times(merged, "class")
    assert drawn[:40].sum() == drawn[40:].sum() == 22
    for group in (drawn[:30], drawn[30:39], drawn[39:40]):
        assert group.sum() in (7, 8)


def test_left_out_clips_come_in_other_epochs(merged: Store) -> None:
    assert (sum(times(merged, "set", epoch) for epoch in range(12)) > 0).all()


def test_shares_follow_the_windows_of_a_group(merged: Store) -> None:
    rows = np.array([0, 30, 40, 41])
    shares = chances(merged, rows, np.array([1, 3, 1, 1]), "set")
    np.testing.assert_allclose(shares, [0.125, 0.375, 0.25, 0.25])


def test_draws_are_as_even_as_whole_numbers_allow() -> None:
    shares = np.array([0.5, 0.3, 0.2])
    for seed in range(20):
        counts = np.bincount(draw(shares, 11, np.random.default_rng(seed)), minlength=3)
        assert (np.abs(counts - 11 * shares) < 1).all()


def test_an_unknown_balance_is_refused(merged: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="balance: must be none, set or class, got 'sets'"):
        ClipLoader(merged, range(44), num_frames=4, batch_size=8, balance="sets")


# ---- batches


def test_batches_of_one_set_hold_the_same_clips(merged: Store) -> None:
    loader = ClipLoader(merged, range(44), num_frames=4, batch_size=3, shuffle=True, batches="set")
    epochs = [[batch.index.tolist() for batch in loader.epoch(epoch)] for epoch in range(3)]
    for batches in epochs:
        assert sorted(row for batch in batches for row in batch) == list(range(44))
        assert [len(batch) for batch in batches] == [3] * 14 + [2]
        # 13 batches of the 40 clips and one of the 4; one clip is left over of each
        assert sorted({row >= 40 for row in batch} == {True} for batch in batches[:-1]) == [False] * 13 + [True]
        assert len({row >= 40 for row in batches[-1]}) == 2
    assert len({tuple(sorted(map(tuple, batches))) for batches in epochs}) == 3
    at = {next(place for place, batch in enumerate(batches) if min(batch) >= 40) for batches in epochs}
    assert len(at) > 1  # sets take turns at random


def test_what_is_left_over_fills_batches(merged: Store) -> None:
    rows = set_by_set(np.arange(10), np.repeat([0, 1, 2], [4, 4, 2]), 3, np.random.default_rng(0))
    batches = [set(batch.tolist()) for batch in rows[:9].reshape(3, 3)]
    assert sorted(rows.tolist()) == list(range(10))
    assert {0, 1, 2} in batches
    assert {4, 5, 6} in batches
    assert sum(batch <= {3, 7, 8, 9} for batch in batches) == 1


def test_an_epoch_of_one_set_begins_anywhere(merged: Store) -> None:
    loader = ClipLoader(merged, range(44), num_frames=4, batch_size=8, shuffle=True, balance="set", batches="set")
    whole = [batch.index.tolist() for batch in loader.epoch(1)]
    assert [batch.index.tolist() for batch in loader.epoch(1, start=2)] == whole[2:]


def test_unknown_batches_are_refused(merged: Store) -> None:
    with pytest.raises(UserError, match="batches: must be mixed or set, got 'class'"):
        ClipLoader(merged, range(44), num_frames=4, batch_size=8, batches="class")


# ---- joints that a layout lacks


def test_a_lacking_joint_stays_in_its_parents_place(tmp_path: Path) -> None:
    random, layouts = np.random.default_rng(0), {"whole": LAYOUTS["sbu15"], "handless": handless()}
    for name, layout in layouts.items():
        with StoreWriter(tmp_path / name, layout, (), normalization=NormalizeConfig()) as writer:
            for number in range(3):
                joints = random.normal(size=(1, 6, layout.num_joints, 3)).astype("f4")
                writer.add(RawClip(f"{number}", joints))
    store = Store.open(merge([tmp_path / name for name in layouts], tmp_path / "both", "common15", progress=False))
    augment = Augment([AUGMENTATIONS[name].Config() for name in ("bones", "offset", "jitter")], store.layout)
    (batch,) = ClipLoader(store, range(6), num_frames=4, batch_size=6, num_views=2, augment=augment).epoch()
    wrist, elbow = (batch.x[:, :, :, :, store.layout.joints.index(f"left_{joint}")] for joint in ("wrist", "elbow"))
    apart = (wrist - elbow).abs().amax((1, 2, 3, 4))
    assert (apart[:3] > 0.1).all()
    assert (apart[3:] == 0).all()


def handless() -> SkeletonLayout:
    """sbu15 without hands."""
    told = LAYOUTS["sbu15"].to_dict()
    told["name"] = "handless13"
    told["joints"] = [joint for joint in told["joints"] if "hand" not in joint]
    told["bones"] = {child: parent for child, parent in told["bones"].items() if "hand" not in child}
    told["mirror"] = [pair for pair in told["mirror"] if "hand" not in pair[0]]
    for level in ("body", "part"):
        groups = {name: [joint for joint in joints if "hand" not in joint] for name, joints in told[level].items()}
        told[level] = {name: joints for name, joints in groups.items() if joints}
    return parse_layout(told, "handless")
