"""From parts of an index to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.data.conversion import joined
from ssl_skel.errors import UserError
from ssl_skel.retrieval.index import ENCODER, MotionIndex, row_type
from ssl_skel.retrieval.kinds import check_kind
from ssl_skel.retrieval.writing import progress_bar, writing_index

_IDENTITY = ("layout", "class_names", "normalization", "pooling", "encoder", "dim")
_PLACE = ("store", "clip", "start", "length")  # no two rows share all four
_BLOCK = 1 << 14  # rows copied at once


def merge_indexes(
    parts: Sequence[Path], path: Path | str, *, kind: str = "flat", overwrite: bool = False, progress: bool = False
) -> MotionIndex:
    """Join indexes that several machines built: shards of one store, or indexes of several stores.

    Rows are ordered by store, clip, start and length, so that the parts of one store give the index that one machine
    would have built.

    Args:
        parts: folders of indexes.
        path: folder to make.
        kind: of the whole; those of the parts do not matter.
        overwrite: replace what exists there, after success.
        progress: show a bar.

    Raises:
        UserError: parts of different encoders, layouts, classes, normalisations or poolings, the same clip or window
            in two of them, or a path that is taken.
    """
    if not parts:
        raise UserError("merge-index: give the indexes to join")
    opened = [MotionIndex.open(part) for part in parts]
    _refuse_unlike(opened)
    check_kind(kind, sum(map(len, opened)))
    facts = _joined_facts(opened)
    rows = _joined_rows(opened, facts)
    order = _ordered(rows)
    encoder = opened[0].path / ENCODER
    with writing_index(path, encoder, facts, kind, overwrite=overwrite, inputs=parts, progress=progress) as write:
        blocks = [order[at : at + _BLOCK] for at in range(0, len(order), _BLOCK)]
        for block in progress_bar(blocks, "merge", progress):
            write(_vectors(opened, block), rows[block])
    return MotionIndex.open(path)


def _refuse_unlike(opened: Sequence[MotionIndex]) -> None:
    """Refuse indexes that were not built the same way."""
    first, *others = opened
    first.check_encoder()
    for other in others:
        field = next((field for field in _IDENTITY if other.meta[field] != first.meta[field]), None)
        if field:
            raise UserError(f"{other.path}: {field}: differs from that of {first.path}; build both the same way")


def _joined_facts(opened: Sequence[MotionIndex]) -> dict[str, Any]:
    """What ``meta.json`` of the whole holds of encoder and clips; a store of several parts is listed once."""
    first = opened[0].meta
    stores = {store["sha256"]: store for index in opened for store in index.meta["stores"]}
    return {
        **{field: first[field] for field in _IDENTITY},
        "conversions": [one.model_dump(mode="json") for one in joined(*(index.conversions for index in opened))],
        "windows": sorted({window for index in opened for window in index.meta["windows"]}),
        "stride": first["stride"],
        "stores": list(stores.values()),
        "name_bytes": max(index.meta["name_bytes"] for index in opened),
    }


def _joined_rows(opened: Sequence[MotionIndex], facts: dict[str, Any]) -> np.ndarray:
    """Records of all parts, one part after the other, with the whole's numbers of stores."""
    number = {store["sha256"]: at for at, store in enumerate(facts["stores"])}
    joined = []
    for index in opened:
        rows = np.asarray(index.rows).astype(row_type(facts["name_bytes"]))
        rows["store"] = np.array([number[store["sha256"]] for store in index.meta["stores"]])[rows["store"]]
        joined.append(rows)
    return np.concatenate(joined)


def _ordered(rows: np.ndarray) -> np.ndarray:
    """(N,) the records' order by place.

    Raises:
        UserError: two of them have the same place.
    """
    order = np.lexsort([rows[field] for field in reversed(_PLACE)])
    places = rows[list(_PLACE)][order]
    twice = np.flatnonzero(places[1:] == places[:-1])
    if len(twice):
        row = rows[order[twice[0] + 1]]
        what = f"clip {row['name'].decode()!r}, frames {row['start']} to {row['start'] + row['length']},"
        raise UserError(f"merge-index: {what} is in two of the parts; leave one of them out")
    return order


def _vectors(opened: Sequence[MotionIndex], block: np.ndarray) -> np.ndarray:
    """Vectors of some rows, counted through all parts."""
    edges = np.cumsum([0, *map(len, opened)])
    owner = np.searchsorted(edges, block, side="right") - 1
    vectors = np.empty((len(block), opened[0].vectors.shape[1]), np.float32)
    for at, index in enumerate(opened):
        vectors[owner == at] = index.vectors[block[owner == at] - edges[at]]
    return vectors
