"""Exact k-nearest-neighbour classification with faiss.

The rules, since papers leave them out: features are L2-normalised, so the inner product is the
cosine; a zero vector stays zero and is equally far from everything. Neighbours of equal similarity
come in row order. A majority votes; a tie goes to the class with the larger summed similarity, then
to the class of the nearer neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import faiss
import numpy as np

Metric = Literal["cosine", "euclidean"]
KS = (1, 5, 10, 20)


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
        (Q,) int64 for each k asked for.

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

    faiss finds candidates in float32. They are compared again in float64, and where the last
    candidate is too close to the k-th to be sure, more are fetched, so that neither rounding nor the
    library's inner order ever decides.

    Returns:
        rows (Q, k) int64 and similarities (Q, k) float64, nearest first.
    """
    train, test = (_unit(x) if metric == "cosine" else np.ascontiguousarray(x, np.float32) for x in (train_x, test_x))
    index = faiss.IndexFlatIP(train.shape[1]) if metric == "cosine" else faiss.IndexFlatL2(train.shape[1])
    index.add(train)
    size = max([float((x.astype(np.float64) ** 2).sum(1).max()) for x in (train, test) if len(x)], default=1.0)
    rows, similarity = np.empty((len(test), k), np.int64), np.empty((len(test), k))
    todo, fetch = np.arange(len(test)), k
    while len(todo):
        fetch = min(2 * fetch + 8, len(train))
        unsure = []
        for part in _parts(todo, fetch * train.shape[1]):
            _, found = index.search(test[part], fetch)
            near = _similarity(train[found], test[part][:, None], metric)
            order = np.lexsort((found, -near), axis=-1)
            near, found = (np.take_along_axis(a, order, 1) for a in (near, found))
            rows[part], similarity[part] = found[:, :k], near[:, :k]
            if fetch < len(train):
                unsure.append(part[near[:, k - 1] - near[:, -1] <= 4e-6 * size])
        todo = np.concatenate(unsure) if unsure else todo[:0]
    return rows, similarity


def _unit(x: np.ndarray) -> np.ndarray:
    wide = x.astype(np.float64)
    norm = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.divide(wide, norm, out=np.zeros_like(wide), where=norm > 0).astype(np.float32)


def _similarity(a: np.ndarray, b: np.ndarray, metric: Metric) -> np.ndarray:
    """Float64; equal vectors give equal numbers wherever they stand, which a BLAS does not promise."""
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
