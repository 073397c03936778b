"""Exact nearest neighbours, and classification by them.

The rules, since papers leave them out: features are L2-normalised, so the inner product is the
cosine; a zero vector stays zero and is equally far from everything. Neighbours of equal similarity
come in row order. A majority votes; a tie goes to the class with the larger summed similarity, then
to the class of the nearer neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

Metric = Literal["cosine", "euclidean"]
KS = (1, 5, 10, 20)
_FEW = 4  # queries that faiss answers faster than a matrix product


def knn_predict(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    ks: Sequence[int] = KS,
    metric: Metric = "cosine",
) -> dict[int, np.ndarray]:
    """Classes of test vectors by majority of their nearest training vectors.

    Args:
        train_x: (N, D).
        train_y: (N,) int64, 0 and up.
        test_x: (Q, D).
        ks: numbers of neighbours. One larger than N is answered with N neighbours.
        metric: ``cosine``, or ``euclidean`` on the vectors as they are (similarity is then minus the
            squared distance).

    Returns:
        (Q,) int64 for each requested k.

    Raises:
        ValueError: no training vector, an unlabelled one, or shapes that do not fit.
    """
    if not len(train_x) or len(train_x) != len(train_y) or train_x.shape[1:] != test_x.shape[1:]:
        raise ValueError(f"train {train_x.shape} with {len(train_y)} labels does not fit test {test_x.shape}")
    if train_y.min() < 0:
        raise ValueError("training clips without a label cannot vote; leave them out")
    if min(ks, default=1) < 1:
        raise ValueError(f"k counts neighbours from 1, got {min(ks)}")
    depth = {k: min(k, len(train_x)) for k in ks}
    rows, similarity = nearest(train_x, test_x, max(depth.values(), default=1), metric)
    votes = _vote(train_y[rows], similarity, set(depth.values()))
    return {k: votes[depth[k]] for k in ks}


def nearest(
    train_x: np.ndarray, test_x: np.ndarray, k: int, metric: Metric = "cosine"
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest training rows of each test vector, exactly; ties in row order.

    Returns:
        rows (Q, k) int64 and similarities (Q, k) float64, nearest first.
    """
    train, test = (unit(x) if metric == "cosine" else np.ascontiguousarray(x, np.float32) for x in (train_x, test_x))
    return search_exactly(train, test, k, metric)


def search_exactly(
    vectors: np.ndarray,
    queries: np.ndarray,
    k: int,
    metric: Metric = "cosine",
) -> tuple[np.ndarray, np.ndarray]:
    """As ``nearest``, among vectors that are ready to be compared; they may be memory-mapped.

    Candidates are found in float32. They are compared again in float64, and where the last
    candidate is too close to the k-th to be sure, more are fetched, so that neither rounding nor the
    library's internal order ever decides.

    Args:
        vectors: (N, D) float32; of length 1 or 0 for cosine, as ``unit`` makes them.
        queries: (Q, D) float32, likewise.
        k: at most N.
        metric: as for ``knn_predict``.
    """
    size = 1.0 if metric == "cosine" else _largest_square(vectors, queries)
    found, similarities = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
    todo, fetch = np.arange(len(queries)), k
    while len(todo):
        fetch = min(2 * fetch + 8, len(vectors))
        unsure = []
        for part in _parts(todo, fetch * vectors.shape[1]):
            near_rows, near = compare(
                vectors, queries[part], _candidates(vectors, queries[part], fetch, metric), metric
            )
            found[part], similarities[part] = near_rows[:, :k], near[:, :k]
            if fetch < len(vectors):
                unsure.append(part[near[:, k - 1] - near[:, -1] <= 4e-6 * size])
        todo = np.concatenate(unsure) if unsure else todo[:0]
    return found, similarities


def compare(
    vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray, metric: Metric = "cosine"
) -> tuple[np.ndarray, np.ndarray]:
    """Order candidates by their similarity in float64; ties in row order.

    Args:
        vectors, queries: (N, D) and (Q, D), as in ``search_exactly``.
        rows: (Q, F) int64 candidates of each query; -1 is none, and comes last with a similarity of minus infinity.
    """
    near = np.where(rows < 0, -np.inf, _similarity(vectors[rows], queries[:, None], metric))
    order = np.lexsort((rows, -near), axis=-1)
    return np.take_along_axis(rows, order, 1), np.take_along_axis(near, order, 1)


def unit(x: np.ndarray, dtype: DTypeLike = np.float32) -> np.ndarray:
    """Vectors (N, D) scaled to length 1 in float64, then of a dtype; a zero vector stays zero."""
    wide = x.astype(np.float64)
    norm = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.divide(wide, norm, out=np.zeros_like(wide), where=norm > 0).astype(dtype, copy=False)


def _candidates(vectors: np.ndarray, queries: np.ndarray, fetch: int, metric: Metric) -> np.ndarray:
    """Rows (Q, fetch) that float32 holds for the nearest, in no order."""
    import faiss  # slow to import, as torch is
    import torch

    if metric == "euclidean":
        return faiss.knn(queries, vectors, fetch, faiss.METRIC_L2)[1]
    if len(queries) < _FEW:
        return faiss.knn(queries, vectors, fetch, faiss.METRIC_INNER_PRODUCT)[1]
    # faiss compares query by query, which reads all vectors again each time; one matrix product does not.
    step = max(1 << 10, (1 << 22) // max(1, len(queries)))
    best, near = np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
    for at in range(0, len(vectors), step):
        scores = torch.from_numpy(queries @ vectors[at : at + step].T)
        score, column = scores.topk(min(fetch, scores.shape[1]), sorted=False)
        best, near = np.hstack([best, at + column.numpy()]), np.hstack([near, score.numpy()])
        if best.shape[1] > fetch:
            keep = torch.from_numpy(near).topk(fetch, sorted=False).indices.numpy()
            best, near = np.take_along_axis(best, keep, 1), np.take_along_axis(near, keep, 1)
    return best


def _largest_square(*arrays: np.ndarray) -> float:
    return max([float((x.astype(np.float64) ** 2).sum(1).max()) for x in arrays if len(x)], default=1.0)


def _similarity(a: np.ndarray, b: np.ndarray, metric: Metric) -> np.ndarray:
    """Float64; equal vectors give equal numbers wherever they are, which a BLAS does not promise."""
    wide = a.astype(np.float64)
    return (wide * b).sum(-1) if metric == "cosine" else -((wide - b) ** 2).sum(-1)


def _parts(queries: np.ndarray, numbers: int) -> Iterator[np.ndarray]:
    """Cut queries so that one part's candidates stay near 100 MB."""
    step = max(1, (1 << 23) // max(1, numbers))
    return (queries[at : at + step] for at in range(0, len(queries), step))


def _vote(labels: np.ndarray, similarity: np.ndarray, depths: set[int]) -> dict[int, np.ndarray]:
    """Majority of the first neighbours, (Q, k) -> {depth: (Q,)}."""
    queries, k = labels.shape
    each = np.arange(queries)
    shape = (queries, int(labels.max(initial=0)) + 1)
    count, total, first = np.zeros(shape, np.int64), np.zeros(shape), np.full(shape, k)
    votes: dict[int, np.ndarray] = {}
    for rank in range(k):
        label = labels[:, rank]
        count[each, label] += 1
        total[each, label] += similarity[:, rank]
        first[each, label] = np.minimum(first[each, label], rank)
        if rank + 1 in depths:
            votes[rank + 1] = np.lexsort((first, -total, -count), axis=-1)[:, 0].astype(np.int64)
    return votes
