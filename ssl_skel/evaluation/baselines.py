"""What any learned feature must beat: the coordinates themselves."""

from __future__ import annotations

import numpy as np

from ssl_skel.data.loader import ClipLoader
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
        a, b = (np.asarray(store.joints[start + frame[there]], np.float32) for frame in (left, right))
        out[there, person] = a + (b - a) * share[there]
    return _moved(out, np.arange(store.max_persons) < store.persons[rows, None], store.layout.centre)


def raw_draws(loader: ClipLoader, epoch: int = 0) -> np.ndarray:
    """Coordinates as a loader crops, resamples and augments them, laid out and moved as ``raw_features`` does.

    The loader's frames lie half a frame inside a clip's ends, those of ``raw_features`` on them.

    Args:
        loader: of one draw a clip, neither shuffled nor dropping its last clips.
        epoch: of the loader; each has other draws.

    Returns:
        (rows, M * T * V * C) float32, T = the loader's ``num_frames``.
    """
    centre = loader.store.layout.centre
    return np.concatenate(
        [
            _moved(batch.x[:, 0].permute(0, 4, 2, 3, 1).contiguous().cpu().numpy(), batch.present.cpu().numpy(), centre)
            for batch in loader.epoch(epoch)
        ]
    )


def _moved(joints: np.ndarray, present: np.ndarray, centre: int) -> np.ndarray:
    """Vectors of (N, M, T, V, C), each clip's first centre joint at the origin; absent persons stay zero."""
    origin = joints[:, 0, 0, centre]
    joints -= origin[:, None, None, None] * present[:, :, None, None, None]
    return joints.reshape(len(joints), -1)
