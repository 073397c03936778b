"""Search an index, from a name or a path to hits: all of ``ssl-skel search`` except its printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_skel.errors import UserError
from ssl_skel.retrieval.filters import ALL_ROWS, Filter
from ssl_skel.retrieval.hits import OVERLAP, Hit, best_of, nearest_hits
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.retrieval.localise import localise as find_places
from ssl_skel.retrieval.queries import Query, load_queries, mirror_image

if TYPE_CHECKING:
    from ssl_skel.embedding.embedder import Source


@dataclass(frozen=True, eq=False)
class Answer:
    """What was found for one query.

    Attributes:
        query: what was searched for.
        hits: best first.
        nearest: the best hit, even if it is below ``at_least`` and not among the hits; None: there is none.
    """

    query: Query
    hits: list[Hit]
    nearest: Hit | None = None

    @property
    def nothing(self) -> str:
        """Why there are no hits, in words."""
        if self.nearest is None:
            return "nothing was found"
        return (
            f"nothing like it; the nearest, {self.nearest.name}, has a centred similarity of {self.nearest.centred:.2f}"
        )


def search(
    index: MotionIndex | Path | str,
    query: Source,
    k: int = 10,
    *,
    clip: str = "",
    at: int | None = None,
    format: str = "",
    options: Sequence[str] = (),
    filter: Filter = ALL_ROWS,
    localise: bool = False,
    exact: bool = False,
    overlap: float = OVERLAP,
    mirror: bool = False,
    at_least: float | None = None,
    stores: Sequence[Path] = (),
) -> list[Answer]:
    """Find the clips most similar to each clip of a query, or similar places in long recordings.

    The query itself is never a hit; exact copies of it under other names are, and are marked.

    Args:
        index: an index, or its folder.
        query: name of a clip of the index; or a raw file, a folder of them, a store, or arrays.
        k: how many hits at most for each query.
        clip, at, format, options: which clip or window of ``query``; see ``load_queries``.
        filter: search only among the rows that meet it.
        localise: for an index of windows: compare sequences of windows, which finds places best.
        exact: do not use the index's faster search.
        overlap: share of the shorter of two windows of one clip that both may cover and still both be returned.
        mirror: also find what resembles the query with left and right exchanged; such hits are marked.
        at_least: leave out hits whose ``centred`` is smaller, so that "nothing like it" is an answer. A good first
            value is ``index.spread.usual``: 95 % of the index's own clips have another at least as similar.
        stores: where the index's stores may be now; ``mirror`` reads a clip of the index from its store.

    Returns:
        One answer for each clip of the query, in its order.

    Raises:
        UserError: no such index, query or class, or options that do not fit.
    """
    _check_numbers(k, at_least)
    opened = index if isinstance(index, MotionIndex) else MotionIndex.open(index)
    rows = filter.rows(opened)
    queries = load_queries(opened, query, clip=clip, at=at, format=format, options=options)

    def found(one: Query) -> list[Hit]:
        if localise:
            return find_places(opened, one, k, rows=rows, overlap=overlap)
        return nearest_hits(opened, one, k, rows=rows, exact=exact, overlap=overlap)

    answers = []
    for one in queries:
        hits = found(one)
        if mirror:
            hits = best_of(opened, [*hits, *found(mirror_image(opened, one, tuple(stores)))], k, overlap)
        kept = hits if at_least is None else [hit for hit in hits if hit.centred >= at_least]
        answers.append(Answer(one, kept, hits[0] if hits else None))
    return answers


def _check_numbers(k: int, at_least: float | None) -> None:
    if k < 1:
        raise UserError(f"-k {k}: give the number of hits, 1 or more")
    if at_least is not None and not -1 <= at_least <= 1:
        raise UserError(f"--min {at_least}: is a centred cosine, between -1 and 1")
