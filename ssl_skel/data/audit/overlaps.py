"""Clips that share frames: two cuts of one recording, which no comparison of whole clips finds.

Each pose is hashed by distances between its joints, to a ten-thousandth of their mean, which is less than a tenth of a
millimetre; a sensor never gives the same pose twice. Distances are the same wherever a cut begins, and however it was
moved, turned or scaled by itself, as normalisation may do. Not found: cuts that were smoothed, resampled or rounded.
"""

from __future__ import annotations

import numpy as np

_STEPS = 1e4  # of a distance, in a mean distance
_SEEN = 8  # clips after a pose's first that are compared; a pose in more clips than that is no recording
_FRAMES = 5  # fewer than that may be poses filled in the same way


def pose_hashes(joints: np.ndarray) -> np.ndarray:
    """(M * T,) int64, equal for poses of (M, T, V, C) that differ by a motion and a scale: a random sum of rounded
    distances.

    Each joint is measured to one that stands a third of the layout further on, so that it counts in two distances:
    more of them would be more chances for float32 to round one otherwise.
    """
    poses = joints.reshape(-1, *joints.shape[2:]).astype(np.float64)
    distances = np.linalg.norm(poses - np.roll(poses, 1 + poses.shape[1] // 3, 1), axis=-1)
    mean = distances.mean(1, keepdims=True)
    relative = distances / np.where(mean > 0, mean, 1)
    weights = np.random.default_rng(0).integers(1, 2**62, relative.shape[1])
    hashes: np.ndarray = np.rint(relative * _STEPS).astype(np.int64) @ weights  # wraps around
    return hashes


def overlaps(hashes: np.ndarray, clip: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of clips that share poses.

    Args:
        hashes: (F,) of all poses.
        clip: (F,) row of the store that each belongs to.
        limit: share of the poses of the shorter clip from which on a pair counts.

    Returns:
        (n, 2) int64 rows, the first being the smaller one, most shared first; and (n,) shares.
    """
    poses = np.unique(np.stack([hashes, clip.astype(np.int64)], 1), axis=0)  # sorted by hash, then by clip
    size = np.bincount(poses[:, 1], minlength=1)
    found = []
    for step in range(1, min(_SEEN, len(poses) - 1) + 1):
        same = poses[step:, 0] == poses[:-step, 0]
        found.append(np.stack([poses[:-step, 1][same], poses[step:, 1][same]], 1))
    if not found:
        return np.zeros((0, 2), np.int64), np.zeros(0)
    pairs, shared = np.unique(np.concatenate(found), axis=0, return_counts=True)
    share = shared / np.minimum(size[pairs[:, 0]], size[pairs[:, 1]])
    rows = np.flatnonzero((shared >= _FRAMES) & (share >= limit))
    rows = rows[np.argsort(-share[rows], kind="stable")]
    return pairs[rows], share[rows]
