"""From parts of an index to the whole."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.data.conversion import joined
from ssl_skel.errors import UserError
from ssl_skel.progress import progress as show_progress
from ssl_skel.retrieval.index import ENCODER, ROWS, MotionIndex
from ssl_skel.retrieval.kinds import check_kind
from ssl_skel.retrieval.rows import row_type
from ssl_skel.retrieval.writing import writing_index

_IDENTITY = ("layout", "class_names", "normalization", "pooling", "encoder", "dim")
_PLACE = ("clip", "start", "length")  # no two rows of a store share all three
_BLOCK = 1 << 14  # rows copied at once
Place = tuple[int, ...]
"""Store, clip, first frame and number of frames."""


def merge_indexes(
    parts: Sequence[Path], path: Path | str, *, kind: str = "flat", overwrite: bool = False, progress: bool = False
) -> MotionIndex:
    """Join indexes that several machines built: shards of one store, or indexes of several stores.

    Rows are ordered by store, clip, start and length, so that the parts of one store give the index that one machine
    would have built. They are copied in blocks, so that memory stays small. After a kill the same call goes on behind
    the last block that is on the disk.

    Args:
        parts: folders of indexes.
        path: folder to make.
        kind: of the whole; those of the parts do not matter.
        overwrite: replace what exists there, after success.
        progress: show a bar.

    Raises:
        UserError: parts of different encoders, layouts, classes, normalisations or poolings, the same clip or window
            in two of them, a part that is missing, or a path that is taken.
    """
    if not parts:
        raise UserError("merge-index: give the indexes to join")
    opened = [MotionIndex.open(part) for part in parts]
    for index in opened:
        index.require_arrays("merge-index")
    _refuse_unlike(opened)
    _refuse_gaps(opened)
    check_kind(kind, sum(map(len, opened)))
    facts = _joined_facts(opened)
    encoder, kind_of_rows = opened[0].path / ENCODER, row_type(facts["name_bytes"])
    key = hashlib.sha256(json.dumps([kind, *(index.meta for index in opened)]).encode()).hexdigest()
    with (
        writing_index(
            path, encoder, facts, kind, overwrite=overwrite, inputs=parts, progress=progress, key=key
        ) as writer,
        show_progress(title="merge", total=sum(map(len, opened)), unit="row", hidden=not progress, delay=1.0) as bar,
    ):
        at, there = 0, writer.done
        for index, number, rows in _in_order(opened, facts):
            size, written = rows.stop - rows.start, max(0, there - at)
            if written < size:
                rows = slice(rows.start + written, rows.stop)
                records = np.asarray(index.rows[rows]).astype(kind_of_rows)
                records["store"] = number
                writer.add(np.asarray(index.vectors[rows]), records)
            at += size
            bar.update(size)
    return MotionIndex.open(path)


def _refuse_unlike(opened: Sequence[MotionIndex]) -> None:
    """Refuse indexes that were not built the same way."""
    first, *others = opened
    first.check_encoder()
    for other in others:
        field = next((field for field in _IDENTITY if other.meta[field] != first.meta[field]), None)
        if field:
            raise UserError(f"{other.path}: {field}: differs from that of {first.path}; build both the same way")


def _refuse_gaps(opened: Sequence[MotionIndex]) -> None:
    """Refuse some of the parts of a store without the others."""
    given: dict[tuple[str, int], set[int]] = {}
    paths = {}
    for index in opened:
        for store in index.meta["stores"]:
            if "part" in store:
                part, parts = store["part"]
                given.setdefault((store["sha256"], parts), set()).add(part)
                paths[store["sha256"]] = store["path"]
    for (sha256, parts), found in given.items():
        missing = next((part for part in range(1, parts + 1) if part not in found), None)
        if missing:
            raise UserError(f"merge-index: part {missing}/{parts} of {paths[sha256]} is missing; join all at once")


def _joined_facts(opened: Sequence[MotionIndex]) -> dict[str, Any]:
    """What ``meta.json`` of the whole holds of encoder and clips; a store of several parts is listed once."""
    first = opened[0].meta
    stores = {
        store["sha256"]: {key: value for key, value in store.items() if key != "part"}
        for index in opened
        for store in index.meta["stores"]
    }
    return {
        **{field: first[field] for field in _IDENTITY},
        "conversions": [one.model_dump(mode="json") for one in joined(*(index.conversions for index in opened))],
        "windows": sorted({window for index in opened for window in index.meta["windows"]}),
        "stride": first["stride"],
        "stores": list(stores.values()),
        "name_bytes": max(index.meta["name_bytes"] for index in opened),
    }


class _Run:
    """Rows of one store in one part, which are ascending.

    Attributes:
        index: the part.
        number: of the store in the whole.
        at, end: rows that are left.
    """

    def __init__(self, index: MotionIndex, number: int, at: int, end: int) -> None:
        self.index, self.number, self.at, self.end = index, number, at, end

    def place(self, row: int) -> Place:
        """What the rows are ordered by."""
        record = self.index.rows[row]
        return self.number, *(int(record[field]) for field in _PLACE)

    @property
    def first(self) -> Place:
        """Place of the first row that is left."""
        return self.place(self.at)

    def before(self, place: Place) -> int:
        """How many of the next rows come before a place."""
        return bisect_left(range(self.at, min(self.end, self.at + _BLOCK)), place, key=self.place)


def _in_order(opened: Sequence[MotionIndex], facts: dict[str, Any]) -> Iterator[tuple[MotionIndex, int, slice]]:
    """Rows of all parts by store, clip, start and length: of which part, of which store of the whole, and which.

    Raises:
        UserError: two rows have the same place, or a part is not in order.
    """
    runs = [(run.first, number, run) for number, run in enumerate(_runs(opened, facts))]
    heapify(runs)
    last: Place | None = None
    while runs:
        place, number, run = heappop(runs)
        if last is not None and place <= last:
            raise _twice(run)
        end = run.at + (run.before(runs[0][0]) if runs else min(_BLOCK, run.end - run.at))
        end = max(end, run.at + 1)
        _check_order(run, end)
        yield run.index, run.number, slice(run.at, end)
        last, run.at = run.place(end - 1), end
        if end < run.end:
            heappush(runs, (run.first, number, run))


def _runs(opened: Sequence[MotionIndex], facts: dict[str, Any]) -> Iterator[_Run]:
    number = {store["sha256"]: at for at, store in enumerate(facts["stores"])}
    for index in opened:
        stores = index.rows["store"]
        edges = np.searchsorted(stores, np.arange(len(index.meta["stores"]) + 1))
        for store, at, end in zip(index.meta["stores"], edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            if at < end:
                yield _Run(index, number[store["sha256"]], at, end)


def _check_order(run: _Run, end: int) -> None:
    """Refuse rows that are not ascending."""
    rows = np.asarray(run.index.rows[run.at : end])[["store", *_PLACE]]
    order = np.lexsort([rows[field] for field in reversed(_PLACE)])
    if (order != np.arange(len(rows))).any() or (rows["store"] != rows["store"][0]).any():
        raise UserError(f"{run.index.path / ROWS}: its rows are not in order; build the index again with --overwrite")
    if (rows[1:] == rows[:-1]).any():
        raise _twice(run)


def _twice(run: _Run) -> UserError:
    row = run.index.rows[run.at]
    what = f"clip {bytes(row['name']).decode()!r}, frames {row['start']} to {row['start'] + row['length']},"
    return UserError(f"merge-index: {what} is in two of the parts; leave one of them out")
