"""Questions to an index: what is asked, among which rows, and what is answered.

In an index of windows an answer is a place: of windows of one clip that overlap, only the nearest is told
(non-maximum suppression), so that "where does something like this occur" gets one answer an occurrence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_skel.data.recordings import read_recordings
from ssl_skel.errors import UserError
from ssl_skel.retrieval.index import MotionIndex

OVERLAP = 0.3
"""Share of the shorter of two windows of one clip that both may hold and still both be told."""

_HINTS = 20_000  # names that a mistyped one is compared with


@dataclass(frozen=True, eq=False)
class Query:
    """What is asked.

    Attributes:
        name: of the clip.
        vector: (D,).
        row: of the index, where it was taken from; else -1.
        joints: (M, T, V, C), normalised; None where it is a row of the index.
        home: (store number, clip, start, length) where it lies in the index's stores; None: elsewhere.
        content: hash of its recording; 0: unknown.
    """

    name: str
    vector: np.ndarray
    row: int = -1
    joints: np.ndarray | None = None
    home: tuple[int, int, int, int] | None = None
    content: int = 0


@dataclass(frozen=True)
class Hit:
    """An answer.

    Attributes:
        rank: from 1.
        row: of the index.
        similarity: cosine.
        name: of the clip.
        start, length: frames of it.
        label: class name; empty where unknown.
        subject, camera: -1 where unknown.
        copy: another clip of the index whose recording equals the query's, coordinate for coordinate.
    """

    rank: int
    row: int
    similarity: float
    name: str
    start: int
    length: int
    label: str
    subject: int
    camera: int
    copy: bool


def select(
    index: MotionIndex,
    labels: Sequence[str] = (),
    subjects: Sequence[int] = (),
    cameras: Sequence[int] = (),
    within: tuple[int, int | None] | None = None,
) -> np.ndarray | None:
    """Rows that a filter leaves, ascending; None where nothing is filtered.

    Args:
        index: to choose from.
        labels: class names; several are alternatives, as below.
        subjects, cameras: numbers.
        within: first frame and end; a clip or window must lie between them.

    Raises:
        UserError: an unknown class, or nothing left.
    """
    if not (labels or subjects or cameras or within):
        return None
    keep = np.ones(len(index), bool)
    told = []
    if labels:
        keep &= np.isin(index.rows["label"], [_label(index, name) for name in labels])
        told.append(f"label {' or '.join(labels)}")
    for field, wanted in (("subject", subjects), ("camera", cameras)):
        if wanted:
            keep &= np.isin(index.rows[field], wanted)
            told.append(f"{field} {' or '.join(map(str, wanted))}")
    if within:
        first, end = within
        keep &= index.rows["start"] >= first
        if end is not None:
            keep &= index.rows["start"] + index.rows["length"] <= end
        told.append(f"within {first}:{'' if end is None else end}")
    rows = np.flatnonzero(keep)
    if not len(rows):
        raise UserError(f"{index.path}: nothing of its {len(index)} rows is left ({', '.join(told)}); ask for less")
    return rows


def ask(index: MotionIndex, query: str, *, clip: str = "", at: int | None = None, format: str = "") -> list[Query]:
    """What a user's word stands for.

    Args:
        index: to be asked.
        query: name of a clip of the index, or path of a raw file, a folder of them, or a store.
        clip: the one clip of that file, folder or store; default: each.
        at: of a clip that was cut into windows: the last window that begins no later than this frame.
        format: a row of ``READERS``; default: the first that reads the file.

    Raises:
        UserError: neither a clip nor a path, or one that cannot be used.
    """
    rows = np.flatnonzero(index.rows["name"] == query.encode())
    if len(rows):
        return [_of_index(index, query, rows, at)]
    if not Path(query).exists():
        known = [index.name(row) for row in range(min(len(index), _HINTS))]
        near = difflib.get_close_matches(query, dict.fromkeys(known), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"{query}: is neither the name of a clip of {index.path} nor a file{hint}")
    if at is not None:
        raise UserError("--at: chooses among windows of a clip of the index; leave it out, or name such a clip")
    store = read_recordings(Path(query), index.layout, index.meta["normalization"], format)
    numbers = np.arange(len(store))
    if clip:
        numbers = np.flatnonzero(store.name == clip)
        if not len(numbers):
            near = difflib.get_close_matches(clip, store.name.tolist(), 1)
            raise UserError(f"{query}: has no clip {clip!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    hashes = [said["sha256"] for said in index.meta["stores"]]
    home = hashes.index(store.sha256) if store.sha256 in hashes else None
    return [
        Query(
            name=str(store.name[number]),
            vector=vector,
            joints=np.asarray(store.clip(number), np.float32),
            home=None if home is None else (home, number, 0, int(store.frames[number])),
            content=int(store.content[number]),
        )
        for number, vector in zip(numbers.tolist(), index.embed(store, numbers), strict=True)
    ]


def answer(
    index: MotionIndex,
    query: Query,
    k: int = 10,
    *,
    rows: np.ndarray | None = None,
    exact: bool = False,
    overlap: float = OVERLAP,
) -> list[Hit]:
    """The nearest rows, without the query itself and without what overlaps a nearer one.

    Args:
        index: to be asked.
        query: what is asked.
        k: how many answers at most.
        rows: look only among these.
        exact: leave the faster search aside.
        overlap: see ``OVERLAP``; 1 tells every window.

    Raises:
        UserError: k below 1, or an overlap that is no share.
    """
    if not 0 <= overlap <= 1:
        raise UserError(f"--overlap: is a share between 0 and 1, got {overlap}")
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
    return [hit_of(index, query, rank, row, similarity[row]) for rank, row in enumerate(kept, 1)]


def suppress(
    index: MotionIndex,
    ordered: np.ndarray,
    k: int,
    overlap: float,
    taken: Sequence[tuple[int, int, int, int]] = (),
) -> list[int]:
    """Greedy non-maximum suppression over time.

    Args:
        index: that the rows are of.
        ordered: (F,) rows, nearest first.
        k: how many to keep at most.
        overlap: a row goes where it shares more than this part of the shorter one with a row that was kept.
        taken: (store, clip, start, length) that count as kept from the start, and are not told.

    Returns:
        Rows kept, nearest first.
    """
    rows = index.rows
    spans = ([int(rows[field][row]) for field in ("store", "clip", "start", "length")] for row in ordered.tolist())
    return [int(ordered[at]) for at in apart(spans, k, overlap, taken)]


def apart(
    places: Iterable[Sequence[int]], k: int, overlap: float, taken: Sequence[tuple[int, int, int, int]] = ()
) -> list[int]:
    """As ``suppress``, for places (store, clip, start, length), best first; tells which of them are kept."""
    kept: list[int] = []
    held: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for store, clip, start, length in taken:
        held.setdefault((store, clip), []).append((start, length))
    for number, (store, clip, start, length) in enumerate(places):
        if len(kept) == k:
            break
        others = held.setdefault((store, clip), [])
        shared = [min(start + length, at + size) - max(start, at) for at, size in others]
        if all(part <= overlap * min(length, size) for part, (_, size) in zip(shared, others, strict=True)):
            kept.append(number)
            others.append((start, length))
    return kept


def _of_index(index: MotionIndex, name: str, rows: np.ndarray, at: int | None) -> Query:
    if len(np.unique(index.rows["store"][rows])) > 1:
        raise UserError(f"{name}: clips of this name are in several stores of the index; give the store, with --clip")
    if at is not None:
        rows = rows[index.rows["start"][rows] <= at][-1:]
        if not len(rows):
            raise UserError(f"{name}: has no window that begins at frame {at} or before; give another --at")
    if len(rows) > 1:
        raise UserError(f"{name}: was cut into {len(rows)} windows; choose one by a frame of it with --at")
    row = int(rows[0])
    record = index.rows[row]
    store, clip, start, length = (int(record[field]) for field in ("store", "clip", "start", "length"))
    vector = np.asarray(index.vectors[row])
    return Query(name, vector, row, home=(store, clip, start, length), content=int(record["content"]))


def _label(index: MotionIndex, name: str) -> int:
    if name in index.class_names:
        return index.class_names.index(name)
    near = difflib.get_close_matches(name, index.class_names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(index.class_names)}"
    raise UserError(f"--label: unknown {name!r}; {hint}")


def hit_of(index: MotionIndex, query: Query, rank: int, row: int, similarity: float) -> Hit:
    """The answer that a row of the index is."""
    record = index.rows[row]
    label = int(record["label"])
    same = query.home is not None and (int(record["store"]), int(record["clip"])) == query.home[:2]
    return Hit(
        rank=rank,
        row=row,
        similarity=similarity,
        name=index.name(row),
        start=int(record["start"]),
        length=int(record["length"]),
        label=index.class_names[label] if label >= 0 else "",
        subject=int(record["subject"]),
        camera=int(record["camera"]),
        copy=not same and query.content != 0 and int(record["content"]) == query.content,
    )
