"""Raw coordinates: against a naive loop, and against known figures."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from ssl_skel.data.clip import RawClip
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.evaluation.baseline_names import RawBaseline
from ssl_skel.evaluation.baselines import BASELINES, raw_features
from ssl_skel.evaluation.knn import knn_predict
from ssl_skel.layouts import LAYOUTS


def resampled(store: Store, row: int, frames: int) -> np.ndarray:
    """(M', T, V, C) of the persons that are there."""
    clip = store.clip(row).astype(float)
    out = np.zeros((len(clip), frames, *clip.shape[2:]))
    for person, joints in enumerate(clip):
        for t in range(frames):
            at = t * (len(joints) - 1) / (frames - 1)
            before, after = joints[int(at)], joints[min(int(at) + 1, len(joints) - 1)]
            out[person, t] = before + (after - before) * (at - int(at))
    return out


def by_hand(store: Store, row: int, name: RawBaseline) -> np.ndarray:
    frames, layout, channels = BASELINES[name].frames, store.layout, store.channels
    clip = resampled(store, row, frames)
    points = clip[..., : channels - layout.score]
    if name == "raw_pairs":
        found = np.zeros((frames, layout.num_joints, layout.num_joints))
        for t, i, j in np.ndindex(found.shape):
            if len(points) > 1:
                found[t, i, j] = np.sqrt(((points[0, t, i] - points[1, t, j]) ** 2).sum())
        return found.ravel()
    if name == "raw":
        points -= points[0, 0, layout.centre].copy()
    if name == "raw_box":
        corners = [(points[..., axis].min(), points[..., axis].max()) for axis in range(points.shape[-1])]
        for axis, (low, high) in enumerate(corners):
            points[..., axis] -= (low + high) / 2
        points /= max(high - low for low, high in corners)
    if name == "raw_deviation":
        for person in points:
            for frame in person:
                frame -= frame[layout.centre].copy()
            person -= sum(person) / frames
    found = np.zeros((store.max_persons, *clip.shape[1:]))
    found[: len(clip)] = clip
    return found.ravel()


@pytest.fixture(params=["sbu15", "scored"])
def odd_store(tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    """Clips of one frame, of many, of one person and of two; in 3D, and in 2D with scores."""
    rng, layout = np.random.default_rng(0), LAYOUTS["sbu15"]
    layout = layout if request.param == "sbu15" else layout.with_score()
    with StoreWriter(tmp_path / "odd", layout, ("a", "b")) as writer:
        for number, (persons, frames) in enumerate([(1, 1), (2, 7), (1, 333), (2, 1), (1, 20)]):
            joints = rng.normal(3, 1, size=(persons, frames, 15, 3)).astype(np.float32)
            writer.add(RawClip(f"clip{number}", joints, label=0))
    return Store.open(tmp_path / "odd")


def test_each_has_a_name_in_the_configs() -> None:
    assert get_args(RawBaseline) == tuple(BASELINES)


@pytest.mark.parametrize("name", BASELINES)
def test_equals_a_naive_loop(odd_store: Store, name: RawBaseline) -> None:
    found = raw_features(odd_store, name=name)
    assert found.dtype == np.float32
    assert np.allclose(found, [by_hand(odd_store, row, name) for row in range(len(odd_store))], atol=1e-5)


def test_a_clip_that_fills_no_box_stays_finite(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "point", LAYOUTS["sbu15"], ("a", "b")) as writer:
        writer.add(RawClip("point", np.full((1, 4, 15, 3), 2, np.float32), label=0))
    assert not raw_features(Store.open(tmp_path / "point"), name="raw_box").any()


def test_absent_persons_are_zero_and_rows_are_chosen(odd_store: Store) -> None:
    every, some = raw_features(odd_store), raw_features(odd_store, np.array([4, 1]))
    assert np.array_equal(some, every[[4, 1]])
    second = every.reshape(len(odd_store), 2, -1)[:, 1]
    assert [bool(person.any()) for person in second] == [False, True, False, True, False]


def test_the_published_anchor_on_nw_ucla(nw_ucla: Store) -> None:
    """Euclidean 1-NN on raw coordinates: 63.4 % on the 464 test clips, 53.9 % on the 369 that are not copies."""
    x, y = raw_features(nw_ucla), nw_ucla.label
    for name, clips, anchor in (("xview", 464, 63.4), ("xview_dedup", 369, 53.9)):
        split = load_split(nw_ucla, name)
        found = knn_predict(x[split.train], y[split.train], x[split.test], (1,), "euclidean")[1]
        assert len(split.test) == clips
        assert 100 * (found == y[split.test]).mean() == pytest.approx(anchor, abs=1.5)


def test_the_box_is_stronger_across_views(nw_ucla: Store) -> None:
    """Cosine 1-NN on the unseen camera, without copies: the box gains on coordinates as they are."""
    split, y = load_split(nw_ucla, "xview_dedup"), nw_ucla.label
    right = {}
    for name in ("raw", "raw_box"):
        x = raw_features(nw_ucla, name=name)
        right[name] = (knn_predict(x[split.train], y[split.train], x[split.test], (1,))[1] == y[split.test]).mean()
    assert right["raw_box"] > right["raw"] + 0.02
