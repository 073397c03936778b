"""Clips that occur twice: exactly, or nearly so.

Copies have equal recordings (the store keeps a hash of each), or equal stored joints to a tenth of a millimetre.
Near duplicates are sought with faiss among signatures: a clip resampled to 16 frames, centred on its mean, and turned
about the vertical so that the shoulders lie along x. A copy that was moved, turned, resampled, rounded or slightly
smoothed has nearly the same one. Not found: a copy that was mirrored, or whose persons are in another order. Copies
cut at other frames are for ``overlaps``.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import faiss
import numpy as np
from scipy.linalg import eigh

from ssl_skel.data.clip_columns import blocks_of
from ssl_skel.layouts import SkeletonLayout

FRAMES = 16
_PROJECTED = 64  # dimensions searched; distances there are never larger than in all of them
_SAMPLE = 2048  # signatures that the projection is made from
_NEIGHBOURS = (8, 32, 128)  # fetched again with more where all of them were near
_BLOCK = 256  # signatures that are searched for at once
_COMPARED = 1024  # that are read at once
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


class Signatures:
    """Signatures of clips with the same number of persons. They are kept in an unnamed file, so that memory does not
    grow with their number; rows are read like those of an array, by an array of numbers.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - __exit__ closes it
        self._count = self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, values: np.ndarray) -> None:
        """The next clip's, (D,) float32."""
        written = values.astype("<f4").tobytes()
        self._file.write(written)
        self._count, self._bytes = self._count + 1, len(written)

    def __len__(self) -> int:
        """N, those that were added."""
        return self._count

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Those of some rows, (n, D) float32."""
        out = np.empty((len(rows), self._bytes // 4), np.float32)
        for place, row in enumerate(rows.tolist()):
            self._file.seek(row * self._bytes)
            out[place] = np.frombuffer(self._file.read(self._bytes), "<f4")
        return out


def near_pairs(
    signatures: np.ndarray | Signatures, limit: float, values: int, among: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of signatures whose root mean square distance between joints is at most ``limit``.

    They are searched in a projection, where nothing is further apart than in truth, and then compared in full. Where
    a clip has very many near ones, 128 are compared; clips that belong together are still found through others.

    Args:
        signatures: (N, D) float32.
        limit: in the unit of the signatures.
        values: joints a signature holds (persons times frames times V), over which squared distances are averaged.
        among: (n,) rows that are compared, ascending; default: all.

    Returns:
        (n, 2) int64 rows, the first being the smaller one, ascending; and (n,) distances.
    """
    rows = np.arange(len(signatures)) if among is None else among
    if len(rows) < 2:
        return np.zeros((0, 2), np.int64), np.zeros(0)
    with _projection(signatures, rows) as projected:
        pairs = rows[_candidates(projected, limit**2 * values)]
    ends = map(np.transpose, blocks_of(pairs, _COMPARED))
    squares = [((signatures[a].astype(np.float64) - signatures[b]) ** 2).sum(1) for a, b in ends]
    distance = np.sqrt(np.concatenate([np.zeros(0), *squares]) / values)
    near = distance <= limit
    return pairs[near], distance[near]


def _candidates(projected: np.ndarray, radius: float) -> np.ndarray:
    """(n, 2) pairs of rows that may lie within a squared radius of each other."""
    slack = np.concatenate([_ROUNDING * (part**2).sum(1) for part in blocks_of(projected, _COMPARED)])
    found = [np.zeros((0, 2), np.int64)]
    for rows, others in _blocks(projected, np.sqrt(radius + slack)):
        there = projected[others]
        for fetch in _NEIGHBOURS:
            distance, place = faiss.knn(projected[rows], there, min(fetch + 1, len(there)))  # one is the row itself
            near = distance <= radius + slack[rows, None]
            pair = np.stack([np.broadcast_to(rows[:, None], near.shape)[near], others[place[near]]], 1)
            found.append(np.sort(pair[pair[:, 0] != pair[:, 1]], axis=1))
            rows = rows[near.all(1)]
            if not len(rows) or fetch >= len(there) - 1:
                break
    return np.unique(np.concatenate(found), axis=0)


def _blocks(projected: np.ndarray, reach: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of rows, each with all rows that may be within reach of one of them.

    Rows are halved, again and again, along the axis on which they differ most, as in a k-d tree; others that lie
    further from a half than they reach are left behind. So work grows with the clips, not with their square, unless
    most clips are near each other.
    """
    todo = [(np.arange(len(projected), dtype=np.int32),) * 2]
    while todo:
        rows, others = todo.pop()
        if len(rows) <= _BLOCK:
            yield rows, others
            continue
        axis = int(projected[rows[:: len(rows) // _BLOCK]].std(0).argmax())
        place, far = projected[rows, axis], projected[others, axis]
        order = np.argpartition(place, len(rows) // 2)
        low, high = order[: len(rows) // 2], order[len(rows) // 2 :]
        todo.append((rows[low], others[far - reach[others] <= place[low].max()]))
        todo.append((rows[high], others[far + reach[others] >= place[high].min()]))


@contextmanager
def _projection(signatures: np.ndarray | Signatures, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Signatures of some rows along their main axes (n, d), mapped from an unnamed file; as they are where there are
    few.
    """
    if len(rows) <= _SAMPLE:
        yield signatures[rows]
        return
    sample = signatures[rows[:: max(1, len(rows) // _SAMPLE)]].astype(np.float64)
    width = sample.shape[1]
    _, axes = eigh(sample.T @ sample, subset_by_index=[max(0, width - _PROJECTED), width - 1])
    with tempfile.TemporaryFile() as file:
        for part in blocks_of(rows, _COMPARED):
            file.write((signatures[part] @ axes.astype(np.float32)).tobytes())
        file.flush()
        yield np.memmap(file, np.float32, "r", shape=(len(rows), axes.shape[1]))
