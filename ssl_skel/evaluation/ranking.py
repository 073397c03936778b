"""How good ranked lists are: the relevant clips of a query are the others of its class.

The rules, since papers leave them out: a gallery clip of the query's own source (itself, another window of the same
recording, an exact copy) is removed from its list. A query without any relevant clip left in the gallery is left out
and counted. Clips of equal similarity come in row order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ssl_skel.config import Section
from ssl_skel.evaluation.knn import compare, unit

DEPTHS = (1, 5, 10)
NDCG_DEPTH = 10
MEASURES = (*(f"R@{k}" for k in DEPTHS), "mAP", f"nDCG@{NDCG_DEPTH}")
_NUMBERS = 1 << 22  # of one block of a full comparison


class RankingScores(Section):
    """Figures of a set of ranked lists, means over queries, between 0 and 1."""

    figures: dict[str, float]
    """By ``MEASURES``; mAP only if the lists were complete."""

    per_class: tuple[dict[str, float] | None, ...]
    """The same for the queries of each class; None for a class without any."""

    queries: int
    """Queries with a relevant clip."""

    without: int = 0
    """Queries without one."""

    excluded: int = 0
    """Gallery clips that were removed from lists because they were of the query's own source; over all lists."""


def full_rankings(gallery: np.ndarray, queries: np.ndarray) -> Iterator[np.ndarray]:
    """The whole gallery in order of cosine for each query, exactly as ``nearest`` orders it.

    Args:
        gallery: (G, D).
        queries: (Q, D).

    Yields:
        (G,) int64 rows of the gallery, once per query.
    """
    gallery, queries = unit(gallery), unit(queries)
    step = max(1, _NUMBERS // max(1, gallery.size))
    rows = np.arange(len(gallery))
    for at in range(0, len(queries), step):
        block = queries[at : at + step]
        yield from compare(gallery, block, np.broadcast_to(rows, (len(block), len(rows))))[0]


def grade(relevant: np.ndarray, total: int) -> dict[str, float]:
    """Figures of one ranked list.

    R@k is 1 if any of the first k is relevant (the recall of metric learning: Jegou et al., TPAMI 2011). Average
    precision is the mean, over all relevant clips, of the precision at their ranks; nDCG has binary gains and the
    discount 1 / log2(rank + 1) (Järvelin & Kekäläinen, TOIS 2002).

    Args:
        relevant: (G,) bool, in rank order.
        total: relevant clips of the gallery, at least one; more than the list has where it was cut short.
    """
    ranks = np.flatnonzero(relevant) + 1
    found = {f"R@{k}": float(len(ranks) > 0 and ranks[0] <= k) for k in DEPTHS}
    precision = np.arange(1, len(ranks) + 1) / ranks
    gains = 1 / np.log2(1 + np.arange(1, NDCG_DEPTH + 1))
    gained = gains[ranks[ranks <= NDCG_DEPTH] - 1].sum() / gains[: min(total, NDCG_DEPTH)].sum()
    return found | {"mAP": float(precision.sum() / total), f"nDCG@{NDCG_DEPTH}": float(gained)}


def ranking_scores(
    rankings: Iterable[np.ndarray],
    gallery_label: np.ndarray,
    query_label: np.ndarray,
    num_classes: int,
    *,
    gallery_source: np.ndarray | None = None,
    query_source: np.ndarray | None = None,
) -> tuple[RankingScores, np.ndarray]:
    """Measure ranked lists.

    Args:
        rankings: rows of the gallery, nearest first, once per query: all of them, or only the first of them (at least
            10 besides those of the query's own source). -1 is none.
        gallery_label: (G,) int64.
        query_label: (Q,) int64, 0 and up.
        num_classes: of the store.
        gallery_source, query_source: (G,) and (Q,) numbers of the recordings; equal ones never meet. None: all do.

    Returns:
        The figures, and (Q,) the class of each query's first clip, -1 where it has no relevant clip.
    """
    graded: list[dict[str, float]] = []
    of: list[int] = []
    first = np.full(len(query_label), -1)
    complete, excluded = True, 0
    for query, listed in enumerate(rankings):
        kept = listed[listed >= 0]
        complete &= len(kept) == len(gallery_label)
        others = np.ones(len(gallery_label), bool)
        if gallery_source is not None and query_source is not None:
            others = gallery_source != query_source[query]
            excluded += int((~others).sum())
        total = int((others & (gallery_label == query_label[query])).sum())
        if not total:
            continue
        labels = gallery_label[kept[others[kept]]]
        graded.append(grade(labels == query_label[query], total))
        of.append(int(query_label[query]))
        first[query] = labels[0] if len(labels) else -1
    names = MEASURES if complete else tuple(name for name in MEASURES if name != "mAP")
    classes = np.array(of, np.int64)
    table = np.array([[row[name] for name in names] for row in graded]).reshape(len(graded), len(names))

    def mean(rows: np.ndarray) -> dict[str, float]:
        return dict(zip(names, (float(value) for value in rows.mean(0)), strict=True))

    scores = RankingScores(
        figures=mean(table) if len(table) else {},
        per_class=tuple(
            mean(table[classes == label]) if (classes == label).any() else None for label in range(num_classes)
        ),
        queries=len(table),
        without=len(query_label) - len(table),
        excluded=excluded,
    )
    return scores, first
