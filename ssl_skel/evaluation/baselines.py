"""What any learned feature must beat: the coordinates themselves."""

from __future__ import annotations

import numpy as np

from ssl_skel.data.store import Store

FRAMES = 20


def raw_features(store: Store, rows: np.ndarray | None = None, frames: int = FRAMES) -> np.ndarray:
    """Resampled coordinates of each clip as one long vector.

    Each clip is resampled linearly to a fixed number of frames over its whole length and moved so
    that the first person's centre joint starts at the origin. Persons are concatenated; who is
    absent is zero.

    Args:
        store: where the clips lie.
        rows: rows of the store; default all.
        frames: T of the vector.

    Returns:
        (N, M * frames * V * C) float32, M = the store's largest number of persons.
    """
    rows = np.arange(len(store)) if rows is None else np.asarray(rows)
    _, joints, channels = store.joints.shape
    length = store.frames[rows]
    at = np.linspace(0.0, 1.0, frames) * (length[:, None] - 1)
    left = np.floor(at).astype(np.int64)
    right = np.minimum(left + 1, length[:, None] - 1)
    share = (at - left).astype(np.float32)[:, :, None, None]
    out = np.zeros((len(rows), store.max_persons, frames, joints, channels), np.float32)
    for person in range(store.max_persons):
        there = store.persons[rows] > person
        start = (store.offset[rows] + person * length)[there, None]
        a, b = (np.asarray(store.joints[start + frame[there]]) for frame in (left, right))
        out[there, person] = a + (b - a) * share[there]
    origin = out[:, 0, 0, store.layout.centre]
    seen = np.arange(store.max_persons) < store.persons[rows, None]
    out -= origin[:, None, None, None] * seen[:, :, None, None, None]
    return out.reshape(len(rows), -1)
