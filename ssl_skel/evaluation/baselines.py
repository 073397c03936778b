"""What any learned feature must beat: the coordinates themselves, in several forms.

Which form is strongest depends on the data: the box where cameras differ, the deviation from the mean pose where
actions are movements of limbs, and distances between people where two of them interact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.store import Store
from ssl_skel.evaluation.baseline_names import RawBaseline
from ssl_skel.layouts import SkeletonLayout


class Baseline(NamedTuple):
    """A way to make a vector of a clip's coordinates.

    Attributes:
        frames: T that clips are resampled to.
        form: (N, M, T, V, C) float32 joints, absent persons zero, and (N, M) bool, who is present, to N of anything. It
            may change the joints. A score beside coordinates stays as it is, or is left out.
        persons: how many people it needs in a store.
    """

    frames: int
    form: Callable[[np.ndarray, np.ndarray, SkeletonLayout], np.ndarray]
    persons: int = 1


def raw_features(store: Store, rows: np.ndarray | None = None, name: RawBaseline = "raw") -> np.ndarray:
    """Resampled coordinates of each clip as one long vector.

    Each clip is resampled linearly to a fixed number of frames over its whole length. Persons are concatenated; absent
    ones are zero.

    Args:
        store: holds the clips; it must have as many persons as the baseline needs.
        rows: rows of the store; default all.
        name: entry of ``BASELINES``.

    Returns:
        (N, D) float32; D = M * T * V * C where the form keeps coordinates, M = the store's largest number of persons.
    """
    rows = np.arange(len(store)) if rows is None else np.asarray(rows)
    baseline = BASELINES[name]
    _, joints, channels = store.joints.shape
    length = store.frames[rows]
    at = np.linspace(0.0, 1.0, baseline.frames) * (length[:, None] - 1)
    left = np.floor(at).astype(np.int64)
    right = np.minimum(left + 1, length[:, None] - 1)
    share = (at - left).astype(np.float32)[:, :, None, None]
    out = np.zeros((len(rows), store.max_persons, baseline.frames, joints, channels), np.float32)
    for person in range(store.max_persons):
        there = store.persons[rows] > person
        start = (store.offset[rows] + person * length)[there, None]
        a, b = (np.asarray(store.joints[start + frame[there]], np.float32) for frame in (left, right))
        out[there, person] = a + (b - a) * share[there]
    present = np.arange(store.max_persons) < store.persons[rows, None]
    return baseline.form(out, present, store.layout).reshape(len(rows), -1)


def raw_draws(loader: ClipLoader, epoch: int = 0, name: RawBaseline = "raw") -> np.ndarray:
    """Coordinates as a loader crops, resamples and augments them, in the form that ``raw_features`` gives them.

    The loader's frames are half a frame inside a clip's ends, those of ``raw_features`` on them.

    Args:
        loader: of one draw per clip, neither shuffled nor dropping its last clips.
        epoch: of the loader; each has other draws.
        name: entry of ``BASELINES``.

    Returns:
        (rows, D) float32, with the loader's ``num_frames`` as T.
    """
    found = []
    for batch in loader.epoch(epoch):
        joints = batch.x[:, 0].permute(0, 4, 2, 3, 1).contiguous().cpu().numpy()
        found.append(BASELINES[name].form(joints, batch.present.cpu().numpy(), loader.store.layout))
    return np.concatenate(found).reshape(sum(map(len, found)), -1)


def _from_first_centre(joints: np.ndarray, present: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """The first person's centre joint starts at the origin."""
    points = _points(joints, layout)
    origin = points[:, 0, 0, layout.centre].copy()
    points -= origin[:, None, None, None] * present[:, :, None, None, None]
    return joints


def _in_box(joints: np.ndarray, present: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """The box around all persons of the clip is centred at the origin, its longest edge has length 1."""
    points, there = _points(joints, layout), present[:, :, None, None, None]
    over = (1, 2, 3)  # persons, frames, joints
    low = points.min(over, keepdims=True, where=there, initial=np.inf)
    high = points.max(over, keepdims=True, where=there, initial=-np.inf)
    edge = (high - low).max(-1, keepdims=True)
    points -= (low + high) / 2 * there
    points /= np.where(edge > 0, edge, 1)
    return joints


def _from_mean_pose(joints: np.ndarray, present: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """Each joint relative to its frame's centre joint, minus the mean of that over the clip, person by person."""
    points = _points(joints, layout)
    points -= points[:, :, :, [layout.centre]]
    points -= points.mean(2, keepdims=True)
    return joints


def _between_persons(joints: np.ndarray, present: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """(N, T, V, V) distances from each joint of the first person to each of the second; zero where one is alone."""
    points = _points(joints, layout)
    offsets = points[:, 0, :, :, None] - points[:, 1, :, None, :]
    return np.linalg.norm(offsets, axis=-1) * present[:, 1, None, None, None]


def _points(joints: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """A view of the coordinates, without a score beside them."""
    return joints[..., : layout.coordinates(joints.shape[-1])]


BASELINES: Mapping[RawBaseline, Baseline] = {
    "raw": Baseline(20, _from_first_centre),
    "raw_box": Baseline(32, _in_box),
    "raw_deviation": Baseline(16, _from_mean_pose),
    "raw_pairs": Baseline(16, _between_persons, persons=2),
}
"""As they are; in the isotropic box of the clip; minus the clip's mean pose; distances between two persons."""
