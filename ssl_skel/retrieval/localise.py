"""Where in long recordings something like a clip occurs: sequences of windows against the clip's own.

One vector of a long window says what happens, but hardly in what order. So the query is cut into windows too, as the
index was, and the similarity of a place is the mean similarity of the windows that meet there. Successive windows have
nearly everything in common; whitening by the index's own windows (PCA) leaves what distinguishes them.

No paper; chosen on generated recordings, where it finds twice as many places as the nearest single windows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ssl_skel.data.sources.recordings import store_of
from ssl_skel.embedding.spans import spans
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import unit
from ssl_skel.retrieval.hits import OVERLAP, Hit, check_overlap, suppress_places
from ssl_skel.retrieval.index import MotionIndex, Rows
from ssl_skel.retrieval.queries import Query

AXES = 64
"""Principal axes that are kept: of 32, 64 and 96 the best by a little."""

_PER_AXIS = 10  # windows for each axis at least; fewer say nothing about how windows vary
_SAMPLE = 20_000  # windows that the axes come from


def localise(
    index: MotionIndex, query: Query, k: int = 10, *, rows: Rows | None = None, overlap: float = OVERLAP
) -> list[Hit]:
    """The places most like a clip.

    Of several window lengths of the index the longest that the query holds is taken, else the shortest. All windows
    of that length are compared, whatever faster search the index has.

    Args:
        index: of windows.
        query: a clip; a window of the index, which has no shorter ones, is compared as it is.
        k: how many at most.
        rows: ascending; places consist of these windows only.
        overlap: share of the shorter of two places that both may cover.

    Returns:
        Places, best first: their first window's row, mean similarity of whitened windows, first frame and length.

    Raises:
        UserError: an index of whole clips, k below 1, an overlap that is not a share, or another encoder.
    """
    if not index.windows:
        raise UserError(f"{index.path}: holds whole clips, not places in them; build it with --window")
    if k < 1:
        raise UserError(f"k: counts places from 1, got {k}")
    check_overlap(overlap)
    index.require_arrays("--localise")
    assert rows is None or isinstance(rows, np.ndarray)
    window, parts = _parts(index, query)
    chosen = _grid(index, window)
    if not len(chosen):
        return []
    windows, pattern = _whiten(index.vectors[chosen], parts)
    near = windows @ pattern.T
    if rows is not None:
        near[~np.isin(chosen, rows)] = -np.inf
    first = index.rows[chosen]
    score, last = _diagonals(near, np.stack([first["store"], first["clip"]], 1))
    length = first["start"][last] + first["length"][last] - first["start"]
    order = np.argsort(-score, kind="stable")
    order = order[np.isfinite(score[order])]
    places = np.stack([first["store"], first["clip"], first["start"], length], 1)[order].tolist()
    kept = order[suppress_places(places, k, overlap, [query.home] if query.home else [])]
    return [
        replace(
            Hit.of(index, query, rank, int(chosen[at]), float(score[at])),
            length=int(length[at]),
            centred=float(score[at]),
            percentile=None,
        )
        for rank, at in enumerate(kept.tolist(), 1)
    ]


def _stride(index: MotionIndex, window: int) -> int:
    return index.meta["stride"] or max(1, window // 4)


def _parts(index: MotionIndex, query: Query) -> tuple[int, np.ndarray]:
    """Window length, and vectors (P, D) of the query's windows."""
    windows = sorted(index.meta["windows"])
    if query.joints is None:
        length = int(index.rows["length"][query.row])
        return max((window for window in windows if window <= length), default=windows[0]), query.vector[None]
    frames = query.joints.shape[1]
    window = max((window for window in windows if window <= frames), default=windows[0])
    clip = store_of([query.joints], index.layout)
    stride = _stride(index, window)
    chosen = spans(clip.frames, (window,), stride)
    return window, unit(index.embedder.encode_spans(clip, chosen[chosen[:, 1] % stride == 0]))


def _grid(index: MotionIndex, window: int) -> np.ndarray:
    """Rows of the windows that follow each other by the stride, and of clips that are no longer than a window."""
    start, length = index.rows["start"], index.rows["length"]
    whole = (length < window) & (length == index.rows["frames"])
    return np.flatnonzero(((length == window) & (start % _stride(index, window) == 0)) | whole)


def _whiten(vectors: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """(N, D) and others on the principal axes of the first, each axis of variance 1, then of unit length.

    Fewer than 20 vectors, or vectors that are all alike, have no axes; all are then left as they are.
    """
    sample = vectors[:: max(1, len(vectors) // _SAMPLE)].astype(np.float64)
    mean = sample.mean(0)
    variance, axes = np.linalg.eigh((sample - mean).T @ (sample - mean) / len(sample))
    kept = np.flatnonzero(variance > 1e-9)[-AXES:][-max(1, len(vectors) // _PER_AXIS) :]
    if len(kept) < 2:
        return [vectors, *others]
    basis = axes[:, kept] / np.sqrt(variance[kept])
    return [unit((some - mean) @ basis) for some in (vectors, *others)]


def _diagonals(near: np.ndarray, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean along each diagonal, as far as it stays within one clip.

    Args:
        near: (G, P) similarities of windows, in the order of clips and time, to the query's.
        clips: (G, 2) store and clip of each.

    Returns:
        (G,) means, minus infinity where a clip ends before the query and a longer diagonal fits into it; and
        (G,) where each diagonal ends.
    """
    count, parts = near.shape
    each = np.arange(count)
    new = np.append(True, (clips[1:] != clips[:-1]).any(1))
    ends = np.append(np.flatnonzero(new)[1:], count)[np.cumsum(new) - 1]  # of each one's clip
    length = np.minimum(parts, ends - each)
    total = np.zeros(count)
    for part in range(parts):
        inside = np.flatnonzero(part < length)
        total[inside] += near[inside + part, part]
    return np.where((length == parts) | new, total / length, -np.inf), each + length - 1
