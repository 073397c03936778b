"""Clips that share frames: two cuts of one recording, which no comparison of whole clips finds.

Each pose is hashed relative to its centre joint, to a tenth of a millimetre; a sensor never gives the same pose twice.
Not found: cuts that were turned or scaled each by itself, as ``orient`` and ``scale`` do.
"""

from __future__ import annotations

import numpy as np

_TENTH_OF_MILLIMETRE = 1e4
_SEEN = 8  # clips after a pose's first that are compared; a pose in more clips than that is no recording
_FRAMES = 5  # fewer than that may be poses filled in the same way


def pose_hashes(joints: np.ndarray, centre: int) -> np.ndarray:
    """(M * T,) int64, equal for equal poses of (M, T, V, C): a random sum of the rounded coordinates."""
    relative = (joints - joints[:, :, [centre]]).reshape(joints.shape[0] * joints.shape[1], -1)
    weights = np.random.default_rng(0).integers(1, 2**62, relative.shape[1])
    hashes: np.ndarray = np.rint(relative * _TENTH_OF_MILLIMETRE).astype(np.int64) @ weights  # wraps around
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
