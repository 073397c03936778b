"""Clips that are there twice: to the digit, or nearly so.

Copies have equal recordings (the store keeps a hash of each), or equal stored joints to a tenth of a millimetre.
Near duplicates are sought with faiss among signatures: a clip resampled to 16 frames, centred on its mean, and turned
about the vertical so that the shoulders lie along x. A copy that was moved, turned, resampled, rounded or slightly
smoothed has nearly the same one. Not found: a copy that was mirrored, or whose persons stand in another order. Copies
cut at other frames are for ``overlaps``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import faiss
import numpy as np
from scipy.linalg import eigh
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ssl_skel.layouts import SkeletonLayout

FRAMES = 16
_PROJECTED = 64  # dimensions searched; distances there are never larger than in all of them
_SAMPLE = 4096  # signatures that the projection is made from
_NEIGHBOURS = (8, 32, 128)  # fetched again with more where all of them were near
_BLOCK = 4096
_ROUNDING = 1e-5  # by how much of a squared length float32 may err in a squared distance
_TENTH_OF_MILLIMETRE = 1e4


def joints_hash(joints: np.ndarray) -> int:
    """A number that clips share whose stored joints (M, T, V, C) are equal to a tenth of a millimetre."""
    rounded = (np.rint(joints * np.float32(_TENTH_OF_MILLIMETRE)) + 0.0).astype("<f4")  # + 0.0: -0 is 0
    digest = hashlib.blake2b(repr(rounded.shape).encode(), digest_size=8)
    digest.update(rounded.tobytes())
    return int.from_bytes(digest.digest(), "little")


def signature(joints: np.ndarray, layout: SkeletonLayout, turn: bool) -> np.ndarray:
    """What near duplicates share: (M * 16 * V * C,) float32, in the unit of the joints.

    Args:
        joints: (M, T, V, C).
        layout: of the joints.
        turn: about the vertical, by the first person's mean line across the body; clips with two coordinates are not.
    """
    persons, frames, count, channels = joints.shape
    at = np.linspace(0, frames - 1, FRAMES)
    low = at.astype(int)
    share = (at - low).astype(np.float32)[:, None, None]
    out = joints[:, low] * (1 - share) + joints[:, np.minimum(low + 1, frames - 1)] * share
    out = out - out.mean((0, 1, 2))
    if turn and channels == 3:
        left, right = layout.across
        x, _, z = (out[0, :, right] - out[0, :, left]).mean(0)
        length = float(np.hypot(x, z))
        if length > 1e-6:
            c, s = x / length, z / length
            out = out @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], np.float32)
    return out.reshape(persons * FRAMES * count * channels).astype(np.float32)


def equal_groups(*keys: np.ndarray) -> np.ndarray:
    """Clips that agree in one of the keys, and whoever agrees with these: (N,) number of each clip's group."""
    rows = [np.arange(len(keys[0]))]
    columns = [rows[0]]
    for key in keys:
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        rows.append(rows[0])
        columns.append(first[inverse.reshape(-1)])
    return link(np.stack([np.concatenate(rows), np.concatenate(columns)], 1), len(keys[0]))


def link(pairs: np.ndarray, clips: int) -> np.ndarray:
    """Groups that pairs of rows (n, 2) make: (N,) number of each clip's group."""
    graph = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (clips, clips))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def near_pairs(signatures: np.ndarray, limit: float, values: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of signatures whose root mean square distance between joints is at most ``limit``.

    They are searched in a projection, where nothing is further apart than in truth, and then compared in full. Where
    a clip has very many near ones, 128 are compared; whoever belongs together is still found through others.

    Args:
        signatures: (N, D) float32.
        limit: in the unit of the signatures.
        values: joints a signature holds (persons times frames times V), over which squared distances are averaged.

    Returns:
        (n, 2) int64 rows, the first being the smaller one, ascending; and (n,) distances.
    """
    if len(signatures) < 2:
        return np.zeros((0, 2), np.int64), np.zeros(0)
    pairs = _candidates(_project(signatures), limit**2 * values)
    distance = np.zeros(len(pairs))
    for start in range(0, len(pairs), _BLOCK):
        a, b = pairs[start : start + _BLOCK].T
        squares = (signatures[a].astype(np.float64) - signatures[b]) ** 2
        distance[start : start + _BLOCK] = np.sqrt(squares.sum(1) / values)
    near = distance <= limit
    return pairs[near], distance[near]


def _candidates(projected: np.ndarray, radius: float) -> np.ndarray:
    """(n, 2) pairs of rows that may lie within a squared radius of each other."""
    index = faiss.IndexFlatL2(projected.shape[1])
    index.add(projected)
    slack = _ROUNDING * (projected.astype(np.float64) ** 2).sum(1, keepdims=True)
    found = []
    todo = np.arange(len(projected))
    for fetch in _NEIGHBOURS:
        crowded = []
        for start in range(0, len(todo), _BLOCK):
            rows = todo[start : start + _BLOCK]
            distance, other = index.search(projected[rows], min(fetch + 1, len(projected)))  # one is the row itself
            near = distance <= radius + slack[rows]
            pair = np.stack([np.broadcast_to(rows[:, None], near.shape)[near], other[near]], 1)
            found.append(np.sort(pair[pair[:, 0] != pair[:, 1]], axis=1))
            crowded.append(rows[near.all(1)])
        todo = np.concatenate(crowded)
        if not len(todo) or fetch >= len(projected) - 1:
            break
    return np.unique(np.concatenate(found), axis=0)


def keepers(group: np.ndarray, order: Sequence[int] | np.ndarray) -> np.ndarray:
    """(N,) bool: the first clip of each group, in the given order of rows."""
    keep = np.zeros(len(group), bool)
    rows = np.asarray(order)
    _, first = np.unique(group[rows], return_index=True)
    keep[rows[first]] = True
    return keep


def _project(signatures: np.ndarray) -> np.ndarray:
    """Signatures along their main axes (N, d), or as they are where there are few."""
    if len(signatures) <= _SAMPLE:
        return signatures
    sample = signatures[:: max(1, len(signatures) // _SAMPLE)].astype(np.float64)
    width = signatures.shape[1]
    _, axes = eigh(sample.T @ sample, subset_by_index=[max(0, width - _PROJECTED), width - 1])
    return np.ascontiguousarray(signatures @ axes.astype(np.float32))
