"""Clips that share frames: two cuts of one recording, which no comparison of whole clips finds.

Each pose is hashed by distances between its joints, to a ten-thousandth of their mean, which is less than a tenth of a
millimetre; a sensor never gives the same pose twice. Distances are the same wherever a cut begins, and however it was
moved, turned or scaled on its own, as normalisation may do. Not found: cuts that were smoothed, resampled or rounded.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from functools import cache
from typing import Self

import numpy as np

_STEPS = 1e4  # of a distance, in a mean distance
_SEEN = 8  # clips after a pose's first that are compared; a pose in more clips than that is not a recording
_FRAMES = 5  # fewer than that may be poses filled in the same way
_AT_ONCE = 1 << 18  # poses in memory


def pose_hashes(joints: np.ndarray) -> np.ndarray:
    """(M * T,) int64, equal for poses of (M, T, V, C) that differ by a motion and a scale: a random sum of rounded
    distances.

    Each joint is measured to one that stands a third of the layout further on, so that it counts in two distances:
    more of them would be more chances for float32 to round one differently.
    """
    poses = joints.reshape(-1, *joints.shape[2:]).astype(np.float64)
    apart = poses - np.roll(poses, 1 + poses.shape[1] // 3, 1)
    distances = np.sqrt(np.einsum("fvc,fvc->fv", apart, apart))
    mean = distances.mean(1, keepdims=True)
    relative = distances / np.where(mean > 0, mean, 1)
    hashes: np.ndarray = np.rint(relative * _STEPS).astype(np.int64) @ _weights(relative.shape[1])  # wraps around
    return hashes


@cache
def _weights(joints: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 2**62, joints)


class Poses:
    """The different poses of all clips, kept in an unnamed file, so that memory does not grow with their number."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - __exit__ closes it
        self._sizes = array("i")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, hashes: np.ndarray) -> None:
        """The poses of the next clip, (F,) as ``pose_hashes`` gives them."""
        different = np.unique(hashes)
        self._file.write(np.stack([different, np.full(len(different), len(self._sizes))], 1).astype("<i8").tobytes())
        self._sizes.append(len(different))

    def shared(self, limit: float = 0.0, among: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of clips that share poses, five at least.

        Args:
            limit: share of the poses of the shorter clip from which on a pair counts.
            among: (N,) bool, the clips that are compared; default: all.

        Returns:
            (n, 2) int64 numbers of clips, the first being the smaller one, most shared first; and (n,) shares.
        """
        size = np.frombuffer(self._sizes, np.int32)
        keys, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
        for poses in self._parts(np.ones(len(size), bool) if among is None else among):
            poses = poses[np.lexsort((poses[:, 1], poses[:, 0]))]
            found = [keys]
            for step in range(1, min(_SEEN, len(poses) - 1) + 1):
                same = poses[step:, 0] == poses[:-step, 0]
                found.append(poses[:-step, 1][same] * len(size) + poses[step:, 1][same])
            weights = np.concatenate([counts, np.ones(sum(map(len, found[1:])), np.int64)])
            keys, place = np.unique(np.concatenate(found), return_inverse=True)
            counts = np.bincount(place, weights, len(keys)).astype(np.int64)
        pairs = np.stack([keys // max(len(size), 1), keys % max(len(size), 1)], 1)
        share = counts / np.minimum(size[pairs[:, 0]], size[pairs[:, 1]])
        rows = np.flatnonzero((counts >= _FRAMES) & (share >= limit))
        rows = rows[np.argsort(-share[rows], kind="stable")]
        return pairs[rows], share[rows]

    def _parts(self, among: np.ndarray) -> Iterator[np.ndarray]:
        """The poses (F, 2), hash and clip, in parts that fit into memory; equal hashes are in one part.

        A second file holds them part by part.
        """
        parts = 1 + sum(self._sizes) // _AT_ONCE
        counts = np.zeros(parts, np.int64)
        for poses in self._blocks(among):
            counts += np.bincount(poses[:, 0] % parts, minlength=parts)
        place = np.cumsum(counts) - counts
        with tempfile.TemporaryFile() as file:
            for poses in self._blocks(among):
                number = poses[:, 0] % parts
                some = np.bincount(number, minlength=parts)
                for part, own in enumerate(np.split(poses[np.argsort(number)], np.cumsum(some)[:-1])):
                    file.seek(16 * place[part])
                    file.write(own.tobytes())
                place += some
            file.seek(0)
            for count in counts.tolist():
                yield np.frombuffer(file.read(16 * count), "<i8").reshape(-1, 2)

    def _blocks(self, among: np.ndarray) -> Iterator[np.ndarray]:
        """The poses of some clips in the order in which they came, in blocks."""
        self._file.seek(0)
        while block := self._file.read(16 * _AT_ONCE):
            poses = np.frombuffer(block, "<i8").reshape(-1, 2)
            yield poses[among[poses[:, 1]]]
