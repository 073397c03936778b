"""Search an index, from a name or a path to hits: the whole of ``ssl-skel search`` but its printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_skel.retrieval.filters import ALL_ROWS, Filter
from ssl_skel.retrieval.hits import OVERLAP, Hit, nearest_hits
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.retrieval.localise import localise as find_places
from ssl_skel.retrieval.queries import Query, load_queries

if TYPE_CHECKING:
    from ssl_skel.embedding.embedder import Source


@dataclass(frozen=True, eq=False)
class Answer:
    """What was found for one query.

    Attributes:
        query: what was searched for.
        hits: best first.
    """

    query: Query
    hits: list[Hit]


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
) -> list[Answer]:
    """Find the clips most like each clip of a query, or the places in long recordings.

    The query itself is never found; exact copies of it under other names are, and are marked.

    Args:
        index: an index, or its folder.
        query: name of a clip of the index; or a raw file, a folder of them, a store, or arrays.
        k: how many hits at most for each query.
        clip, at, format, options: which clip or window of ``query``; see ``load_queries``.
        filter: search only among the rows that meet it.
        localise: of an index of windows: compare sequences of windows, which finds places best.
        exact: do not use the index's faster search.
        overlap: share of the shorter of two windows of one clip that both may cover and still both be returned.

    Returns:
        One answer for each clip of the query, in its order.

    Raises:
        UserError: no such index, query or class, or options that do not fit.
    """
    opened = index if isinstance(index, MotionIndex) else MotionIndex.open(index)
    rows = filter.rows(opened)
    queries = load_queries(opened, query, clip=clip, at=at, format=format, options=options)
    if localise:
        return [Answer(one, find_places(opened, one, k, rows=rows, overlap=overlap)) for one in queries]
    return [Answer(one, nearest_hits(opened, one, k, rows=rows, exact=exact, overlap=overlap)) for one in queries]
