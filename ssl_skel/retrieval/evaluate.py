"""Accuracy and speed of an index: test clips are the queries, training clips the gallery."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.data.splits import load_split
from ssl_skel.errors import UserError
from ssl_skel.evaluation.ranking import RankingScores, full_rankings, ranking_scores
from ssl_skel.retrieval.approximate import Approximate
from ssl_skel.retrieval.codes import Codes
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.retrieval.kinds import LANCE

_DEPTH = 10


def evaluate_index(
    index: MotionIndex,
    split: str,
    *,
    kinds: tuple[str, ...] = (),
    leave_one_out: bool = False,
    keep_duplicates: bool = False,
    stores: tuple[Path, ...] = (),
) -> dict[str, Any]:
    """Measure retrieval over a split of the index's store.

    Queries are the rows of test clips, the gallery those of training clips. Rows of the query's own recording (by
    content: copies, windows of the same clip, itself) do not count as hits; see ``ssl_skel.evaluation.ranking``.

    Args:
        index: made from one store, which is at hand.
        split: of that store.
        kinds: faster searches to compare with the exact one, each trained on the gallery.
        leave_one_out: the gallery is the test clips too.
        keep_duplicates: count exact copies under other names as hits; only the query's own clip is not.
        stores: where the store may be now.

    Returns:
        index, split, queries, gallery, without, excluded, and under ``searches`` for each search: figures,
        per_class by name, queries_per_second, and recall (share of the true first 10) of the faster ones.

    Raises:
        UserError: several stores, an unknown split, or clips without labels.
    """
    index.require_arrays("evaluate-retrieval")
    if LANCE in kinds:
        raise UserError(f"--kind {LANCE}: is measured when an index of this kind is built; compare ivf, hnsw or ivfpq")
    sides = _sides(index, split, leave_one_out, keep_duplicates, stores)
    # Deep enough that ten are left when a query's own recording is removed.
    _, copies = np.unique(sides.gallery_source, return_counts=True)
    depth = min(len(sides.gallery), _DEPTH + int(copies.max()))
    codes = Codes.of(sides.gallery)
    begin = time.perf_counter()
    truth = codes.search(sides.gallery, sides.queries, depth)[0]
    seconds = time.perf_counter() - begin
    exact = sides.scores(full_rankings(sides.gallery, sides.queries))
    searches = {"flat": sides.facts(exact, seconds)}
    for kind in kinds:
        faster = Approximate.train(kind, sides.gallery)
        faster.tune(sides.gallery)
        begin = time.perf_counter()
        rows = faster.search(sides.gallery, sides.queries, depth)[0]
        seconds = time.perf_counter() - begin
        shares = [np.isin(*pair).mean() for pair in zip(truth[:, :_DEPTH], rows[:, :_DEPTH], strict=True)]
        searches[kind] = sides.facts(sides.scores(rows), seconds) | {"recall": float(np.mean(shares))}
    return {
        "index": str(index.path),
        "split": split,
        "queries": exact.queries,
        "gallery": len(sides.gallery),
        "without": exact.without,
        "excluded": exact.excluded,
        "searches": searches,
    }


@dataclass(frozen=True, eq=False)
class _Sides:
    """Queries and gallery: vectors, labels, and numbers of the recordings."""

    class_names: tuple[str, ...]
    queries: np.ndarray
    query_label: np.ndarray
    query_source: np.ndarray
    gallery: np.ndarray
    gallery_label: np.ndarray
    gallery_source: np.ndarray

    def scores(self, rankings: Iterable[np.ndarray]) -> RankingScores:
        return ranking_scores(
            rankings,
            self.gallery_label,
            self.query_label,
            len(self.class_names),
            gallery_source=self.gallery_source,
            query_source=self.query_source,
        )[0]

    def facts(self, measured: RankingScores, seconds: float) -> dict[str, Any]:
        named = dict(zip(self.class_names, measured.per_class, strict=True))
        speed = round(len(self.queries) / seconds, 1)
        return {"figures": measured.figures, "queries_per_second": speed, "per_class": named}


def _sides(
    index: MotionIndex, split: str, leave_one_out: bool, keep_duplicates: bool, stores: tuple[Path, ...]
) -> _Sides:
    if len(index.meta["stores"]) > 1:
        raise UserError(f"{index.path}: was made from several stores; evaluate an index of one")
    found = load_split(index.open_store(0, stores), split)
    if not len(found.test):
        raise UserError(f"--split {split}: has no test clips; choose another split")
    clip, label = np.asarray(index.rows["clip"]), np.asarray(index.rows["label"])
    source = clip if keep_duplicates else np.asarray(index.rows["content"])
    asking = np.flatnonzero(np.isin(clip, found.test))
    offered = asking if leave_one_out else np.flatnonzero(np.isin(clip, found.train))
    for side, rows in (("test", asking), ("train", offered)):
        if not len(rows):
            raise UserError(f"{index.path}: holds no {side} clips of split {split}; build it from the whole store")
        if (label[rows] < 0).any():
            raise UserError(f"{index.path}: {side} clips of split {split} have no label; choose another split")
    queries, gallery = np.asarray(index.vectors[asking]), np.asarray(index.vectors[offered])
    return _Sides(index.class_names, queries, label[asking], source[asking], gallery, label[offered], source[offered])
