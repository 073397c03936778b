"""Faster, inexact searches: faiss proposes candidates, the vectors themselves decide their order.

Each keeps the vectors in a smaller form only; the exact ones stay in the index's memory map, where the candidates
are compared again. So a similarity is always the true one, and what may go wrong is that a row is never proposed.
How often that happens is measured when the index is built, and the effort of the search follows from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import compare, search_exactly
from ssl_skel.progress import progress as show_progress
from ssl_skel.retrieval.kinds import KINDS, check_kind

swig: Any = faiss  # its type hints do not know all of it

TARGET = 0.97
"""Recall@10 that a search is tuned to on vectors of the index, so that new queries reach 0.95 with a margin."""

DEPTH = 10
QUERIES = 256
_PER_LIST = 64  # training vectors for each list; faiss recommends 39 to 256
_STEP = 1 << 16  # vectors added at once


@dataclass(frozen=True)
class Tuned:
    """Settings of a search, and the recall they give.

    Attributes:
        effort: lists probed, or candidates that the graph holds.
        fetch: candidates for each wanted neighbour.
        recall: share of the true ``DEPTH`` nearest that it finds.
        queries: vectors of the index that it was measured with, each excluding itself.
    """

    effort: int
    fetch: int
    recall: float
    queries: int


class Approximate:
    """A trained search.

    Args:
        kind: entry of ``KINDS``.
        index: faiss's part.
        effort, fetch: as in ``Tuned``.
        path: of the file it was read from.
    """

    def __init__(
        self, kind: str, index: Any, effort: int = 1, fetch: int | None = None, path: Path | None = None
    ) -> None:
        self.kind, self.index, self.effort, self.path = kind, index, effort, path
        self.fetch = fetch or KINDS[kind].fetch

    @classmethod
    def train(cls, kind: str, vectors: np.ndarray, *, progress: bool = False) -> Approximate:
        """Train on a sample and add all vectors, (N, D) float32 of unit length, block by block.

        Raises:
            UserError: an unknown kind, or too few vectors.
        """
        count, dim = vectors.shape
        check_kind(kind, count)
        index = swig.index_factory(dim, KINDS[kind].factory(count, dim), faiss.METRIC_INNER_PRODUCT)
        for part in (index, index.pq) if hasattr(index, "pq") else (index,):
            if hasattr(part, "cp"):
                part.cp.max_points_per_centroid, part.cp.min_points_per_centroid, part.cp.niter = _PER_LIST, 1, 10
        sample = min(count, _PER_LIST * max(getattr(index, "nlist", 0), 256))
        rows = np.sort(np.random.default_rng(0).choice(count, sample, replace=False))
        index.train(vectors[rows])
        for at in show_progress(range(0, count, _STEP), f"{kind} index", hidden=not progress, leave=False):
            index.add(np.ascontiguousarray(vectors[at : at + _STEP]))
        return cls(kind, index)

    @classmethod
    def read(cls, path: Path, kind: str, effort: int, fetch: int) -> Approximate:
        """Map a written search into memory.

        Raises:
            UserError: the file is damaged.
        """
        try:
            return cls(kind, faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), effort, fetch, path)
        except RuntimeError as error:
            raise _damaged(path) from error

    def write(self, path: Path) -> None:
        """Write faiss's part; kind, effort and fetch belong in the index's ``meta.json``.

        Raises:
            UserError: the disk is full, or the like.
        """
        try:
            faiss.write_index(self.index, str(path))
        except RuntimeError as error:
            raise UserError(f"{path}: cannot be written; make room or choose another path") from error

    def search(self, vectors: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As ``search_exactly``, but some of the nearest may be missed, and a list may end early in -1.

        Args:
            vectors: (N, D), those it was trained on.
            queries: (Q, D) float32 of unit length.
            k: neighbours, at most N.

        Raises:
            UserError: the file that this was read from is damaged.
        """
        wanted = min(max(self.fetch * k, 2 * DEPTH), len(vectors))
        effort = max(self.effort, wanted) if self.kind == "hnsw" else self.effort
        rows, near = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
        for part in _blocks(len(queries), wanted * vectors.shape[1]):
            found = self._propose(queries[part], wanted, effort, len(vectors))
            ordered, similarity = compare(vectors, queries[part], found)
            rows[part], near[part] = ordered[:, :k], similarity[:, :k]
        return rows, near

    def _propose(self, queries: np.ndarray, wanted: int, effort: int, count: int) -> np.ndarray:
        """Candidates (Q, wanted), rows below ``count``; -1 is none.

        Raises:
            UserError: the file that this was read from is damaged, or of another kind or other vectors.
        """
        try:
            found: np.ndarray = self.index.search(queries, wanted, params=_parameters(self.kind, effort))[1]
        except (RuntimeError, AssertionError) as error:
            raise _damaged(self.path) from error
        if found.size and not -1 <= found.min() <= found.max() < count:
            raise _damaged(self.path)
        return found

    def tune(self, vectors: np.ndarray, target: float = TARGET) -> Tuned:
        """Find the least effort that reaches a recall on vectors of the index, and take it.

        If none does, as with vectors closer to each other than their smaller form can resolve, more candidates are
        fetched. If even that fails, the largest effort is taken, and its recall is reported all the same.
        """
        rows = np.sort(np.random.default_rng(1).choice(len(vectors), min(QUERIES, len(vectors)), replace=False))
        queries, k = vectors[rows], min(DEPTH, len(vectors) - 1)
        truth = _others(search_exactly(vectors, queries, k + 1)[0], rows, k)
        recall, first, lists = 0.0, self.fetch, getattr(self.index, "nlist", None)
        for fetch, effort in itertools.product((first, 4 * first, 16 * first), KINDS[self.kind].efforts):
            if lists is not None and self.effort == lists and fetch == self.fetch:
                continue  # all lists were probed already
            self.fetch, self.effort = fetch, min(effort, lists or effort)
            found = _others(self.search(vectors, queries, k + 1)[0], rows, k)
            recall = float(np.mean([np.isin(*pair).mean() for pair in zip(truth, found, strict=True)]))
            if recall >= target:
                break
        return Tuned(self.effort, self.fetch, recall, len(rows))


def _damaged(path: Path | None) -> UserError:
    return UserError(f"{path}: is damaged; build the index again with --overwrite")


def _parameters(kind: str, effort: int) -> Any:
    """The effort as faiss takes it."""
    name = KINDS[kind].effort
    parameters = swig.SearchParametersHNSW() if name == "efSearch" else swig.SearchParametersIVF()
    setattr(parameters, name, effort)
    return parameters


def _others(found: np.ndarray, own: np.ndarray, k: int) -> np.ndarray:
    """The first k of each list (Q, k + 1) that are not the query itself."""
    return np.stack([row[row != me][:k] for row, me in zip(found, own, strict=True)])


def _blocks(count: int, numbers: int) -> Iterator[slice]:
    """Cut queries so that one block's candidates stay near 100 MB."""
    step = max(1, (1 << 23) // max(1, numbers))
    return (slice(at, at + step) for at in range(0, count, step))
