"""Queries to an index: one of its own clips or windows, or clips from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssl_skel.data.conversion import Conversion
from ssl_skel.data.sources.recordings import store_of
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.names import nearest, unknown
from ssl_skel.retrieval.index import MotionIndex

if TYPE_CHECKING:
    from ssl_skel.embedding.embedder import Source

_HINTS = 20_000  # names that a mistyped one is compared with


@dataclass(frozen=True, eq=False)
class Query:
    """A clip or window to search for.

    Attributes:
        name: of the clip.
        vector: (D,).
        row: of the index that it was taken from; -1 for a clip from elsewhere.
        joints: (M, T, V, C), normalised; None where it is a row of the index.
        home: (store number, clip, start, length) in the index's stores; None: from elsewhere.
        content: hash of its recording; 0: unknown.
        fps: frames a second of a clip from elsewhere; 0: unknown.
        mirrored: it is the mirror image of the named clip.
    """

    name: str
    vector: np.ndarray
    row: int = -1
    joints: np.ndarray | None = None
    home: tuple[int, int, int, int] | None = None
    content: int = 0
    fps: float = 0.0
    mirrored: bool = False


def load_queries(
    index: MotionIndex,
    query: Source,
    *,
    clip: str = "",
    at: int | None = None,
    format: str = "",
    options: Sequence[str] = (),
) -> list[Query]:
    """Queries by a name or a path, or from arrays.

    Args:
        index: to be searched.
        query: name of a clip of the index; or a raw file, a folder of them, a store, or arrays, see ``Source``.
        clip: take only this clip of the file, folder or store; default: every clip.
        at: of a clip that was cut into windows: take the last window that begins no later than this frame.
        format: entry of ``READERS``; default: the first that reads the file.
        options: ``key=value`` words for its reader; default: those by which the index's own clips were converted.

    Raises:
        UserError: neither a clip nor a path, or one that does not fit the index.
    """
    if isinstance(query, str | Path):
        rows = index.named(str(query))
        if len(rows):
            if options:
                raise UserError(f"{options[0]}: options are for raw recordings; {query} is a clip of the index")
            return [_of_index(index, str(query), rows, at)]
        if not Path(query).exists():
            hint = nearest(query, index.names(_HINTS))
            raise UserError(f"{query}: is neither the name of a clip of {index.path} nor a file{hint}")
    if at is not None:
        raise UserError("--at: chooses among windows of a clip of the index; leave it out, or name such a clip")
    store = index.embedder.clips(query, format, options=options, conversions=_conversions(index))
    numbers = _numbered(store, clip) if clip else np.arange(len(store))
    hashes = [stored["sha256"] for stored in index.meta["stores"]]
    home = hashes.index(store.sha256) if store.sha256 in hashes else None
    return [
        Query(
            name=str(store.name[number]),
            vector=vector,
            joints=np.asarray(store.clip(number), np.float32),
            home=None if home is None else (home, number, 0, int(store.frames[number])),
            content=int(store.content[number]),
            fps=float(store.fps[number]),
        )
        for number, vector in zip(numbers.tolist(), index.embedder.features(store, numbers), strict=True)
    ]


def mirror_image(index: MotionIndex, query: Query, stores: tuple[Path, ...] = ()) -> Query:
    """The same query with left and right exchanged.

    Args:
        index: to be searched.
        query: clip or window.
        stores: where the index's stores may be now; a clip of the index is read from its own.

    Raises:
        UserError: the store of a clip of the index no longer exists, or has changed.
    """
    joints = query.joints
    if joints is None:
        joints = index.joints(query.row, index.open_store(int(index.rows["store"][query.row]), stores))
    turned = np.ascontiguousarray(index.layout.mirrored(np.asarray(joints, np.float32)))
    (vector,) = index.embedder.features(store_of([turned], index.layout))
    return replace(query, vector=vector, joints=turned, mirrored=True)


def _conversions(index: MotionIndex) -> list[Conversion]:
    """How raw queries are converted: like the index's clips, or where that is unknown, like the encoder's."""
    own = index.conversions
    known = {one.format for one in own}
    return [*own, *(one for one in index.embedder.card.conversions if one.format not in known)]


def _numbered(store: Store, clip: str) -> np.ndarray:
    """Numbers of the clips of one name."""
    numbers = np.flatnonzero(store.name == clip)
    if not len(numbers):
        raise unknown("clip", clip, store.name, where=store.path)
    return numbers


def _of_index(index: MotionIndex, name: str, rows: np.ndarray, at: int | None) -> Query:
    if len(np.unique(index.rows["store"][rows])) > 1:
        raise UserError(f"{name}: several stores of the index have a clip of this name; give the store, with --clip")
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
