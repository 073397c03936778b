"""What a search finds: the nearest rows of an index, each described.

In an index of windows a hit is a place: of windows of one clip that overlap, only the nearest is returned
(non-maximum suppression), so that "where does something like this occur" gets one hit per occurrence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssl_skel.errors import UserError
from ssl_skel.retrieval.index import MotionIndex, Rows
from ssl_skel.retrieval.queries import Query

OVERLAP = 0.3
"""Share of the shorter of two windows of one clip that both may cover and still both be returned."""

Place = tuple[int, int, int, int]
"""Store number, clip, first frame and number of frames."""


@dataclass(frozen=True)
class Hit:
    """A clip, window or place that was found.

    Attributes:
        rank: from 1.
        row: of the index.
        similarity: cosine, by which hits are ordered.
        centred: cosine of the vectors minus the index's mean vector, -1 to 1; 0 for two clips with no more in common
            than any two. For a place that ``localise`` found: its similarity, which is centred already.
        percentile: per cent of the pairs of clips of the index that are less similar than this; None for places.
        name: of the clip.
        start, length: frames of it.
        label: class name; empty where unknown.
        subject, camera: -1 where unknown.
        fps: frames a second of the clip; 0 where unknown.
        copy: another clip of the index whose recording equals the query's, coordinate for coordinate.
        mirrored: it resembles the query's mirror image.
    """

    rank: int
    row: int
    similarity: float
    centred: float
    percentile: float | None
    name: str
    start: int
    length: int
    label: str
    subject: int
    camera: int
    fps: float
    copy: bool
    mirrored: bool = False

    @classmethod
    def of(cls, index: MotionIndex, query: Query, rank: int, row: int, similarity: float) -> Hit:
        """A row of the index as a hit for a query."""
        record = index.rows[row]
        label = int(record["label"])
        centred = float(index.spread.centred(query.vector, np.asarray(index.vectors[row])[None])[0])
        same = query.home is not None and (int(record["store"]), int(record["clip"])) == query.home[:2]
        return cls(
            rank=rank,
            row=row,
            similarity=similarity,
            centred=centred,
            percentile=index.spread.percentile(centred),
            name=index.name(row),
            start=int(record["start"]),
            length=int(record["length"]),
            label=index.class_names[label] if label >= 0 else "",
            subject=int(record["subject"]),
            camera=int(record["camera"]),
            fps=index.fps(row),
            mirrored=query.mirrored,
            copy=not same and not query.mirrored and query.content != 0 and int(record["content"]) == query.content,
        )

    def facts(self, windows: bool) -> dict[str, str]:
        """Facts as text, by name, empty where unknown; with frames, and seconds, in an index of windows."""
        first, end = self.start, self.start + self.length
        frames = {"frames": f"{first}-{end}"} if windows else {}
        if windows and self.fps:
            frames["seconds"] = f"{first / self.fps:.1f}-{end / self.fps:.1f}"
        notes = ["copy of the query"] * self.copy + ["mirrored"] * self.mirrored
        return {
            "similarity": f"{self.similarity:.4f}",
            "centred": f"{self.centred:.2f}",
            "percentile": "" if self.percentile is None else f"{_floor(self.percentile):.1f}",
            "clip": self.name,
            **frames,
            "label": self.label,
            "subject": str(self.subject) if self.subject >= 0 else "",
            "camera": str(self.camera) if self.camera >= 0 else "",
            "note": ", ".join(notes),
        }


def _floor(percent: float) -> float:
    """To one digit, so that only all is 100."""
    return math.floor(10 * percent) / 10


def nearest_hits(
    index: MotionIndex,
    query: Query,
    k: int = 10,
    *,
    rows: Rows | None = None,
    exact: bool = False,
    overlap: float = OVERLAP,
) -> list[Hit]:
    """The nearest rows, without the query itself and without what overlaps a nearer one.

    Args:
        index: to be searched.
        query: what to search for.
        k: how many hits at most.
        rows: search only among these.
        exact: do not use the index's faster search.
        overlap: see ``OVERLAP``; 1 returns every window.

    Raises:
        UserError: k below 1, or an overlap outside [0, 1].
    """
    check_overlap(overlap)
    total = len(index) if rows is None else len(rows)
    taken = [query.home] if query.home else []
    fetch = 4 * k + 16 if index.windows else k + 1
    while True:
        found, near = index.search_vectors(query.vector[None], fetch, rows=rows, exact=exact)
        whole = found[0] >= 0
        ordered = found[0][whole]
        kept = suppress(index, ordered[ordered != query.row], k, overlap, taken)
        if len(kept) == k or fetch >= total or not whole.all():
            break
        fetch *= 4
    similarity = dict(zip(ordered.tolist(), near[0][whole].tolist(), strict=True))
    return [Hit.of(index, query, rank, row, similarity[row]) for rank, row in enumerate(kept, 1)]


def best_of(index: MotionIndex, hits: Sequence[Hit], k: int, overlap: float) -> list[Hit]:
    """The best of hits for a query and its mirror image, ranked again; of one place found twice, the better.

    Args:
        index: that they are of.
        hits: of both.
        k: how many at most.
        overlap: see ``OVERLAP``.
    """
    ordered = sorted(hits, key=lambda hit: -hit.similarity)
    places = [(*map(int, index.rows[["store", "clip"]][hit.row]), hit.start, hit.length) for hit in ordered]
    kept = suppress_places(places, k, overlap if index.windows else 0.0)
    return [replace(ordered[at], rank=rank) for rank, at in enumerate(kept, 1)]


def suppress(index: MotionIndex, ordered: np.ndarray, k: int, overlap: float, taken: Sequence[Place] = ()) -> list[int]:
    """Greedy non-maximum suppression over time.

    Args:
        index: that the rows are of.
        ordered: (F,) rows, nearest first.
        k: how many to keep at most.
        overlap: a row is dropped where it shares more than this part of the shorter one with a row that was kept.
        taken: places that count as kept from the start, and are not returned.

    Returns:
        Rows kept, nearest first.
    """
    places = index.rows[ordered][["store", "clip", "start", "length"]].tolist()
    return [int(ordered[at]) for at in suppress_places(places, k, overlap, taken)]


def suppress_places(places: Iterable[Sequence[int]], k: int, overlap: float, taken: Sequence[Place] = ()) -> list[int]:
    """As ``suppress``, for places, best first; returns the positions of those kept."""
    kept: list[int] = []
    covered: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for store, clip, start, length in taken:
        covered.setdefault((store, clip), []).append((start, length))
    for number, (store, clip, start, length) in enumerate(places):
        if len(kept) == k:
            break
        others = covered.setdefault((store, clip), [])
        shared = [min(start + length, at + size) - max(start, at) for at, size in others]
        if all(part <= overlap * min(length, size) for part, (_, size) in zip(shared, others, strict=True)):
            kept.append(number)
            others.append((start, length))
    return kept


def check_overlap(overlap: float) -> None:
    """Refuse an overlap that is not a share.

    Raises:
        UserError: it is outside [0, 1].
    """
    if not 0 <= overlap <= 1:
        raise UserError(f"--overlap: is a share between 0 and 1, got {overlap}")
