"""The contents of a search index."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.view.clips import rate_of
from ssl_skel.view.draw.clips import RenderableClip, length_fact
from ssl_skel.view.draw.run_pages import index_page
from ssl_skel.view.runs import MARKS, embedding_map


def page_of_index(path: Path, store: Path | None = None, fps: float | None = None) -> str:
    """Page of an index: the map of its vectors, each with its clip or window.

    Args:
        path: the index.
        store: present path of its clips; default: the path when it was built.
        fps: frames a second of the recordings; default: see ``shown``.

    Raises:
        UserError: no index there, its clips are gone, or it holds too few for a map.
    """
    index = MotionIndex.open(path)
    rows = np.unique(np.linspace(0, len(index) - 1, min(MARKS, len(index))).round().astype(int))
    vectors = np.asarray(index.vectors[rows])
    if not np.isfinite(vectors).all():
        raise UserError(f"{path}: vectors.npy: holds NaN or infinity; build the index again with --overwrite")
    places = embedding_map(vectors)
    if places is None:
        raise UserError(f"{path}: holds {len(index)} vectors, too few for a map; view its store instead")
    stores: dict[int, Store] = {}
    for number in np.unique(index.rows["store"][rows]).tolist():
        stores[number] = index.open_store(number, (store,) if store else ())
    clips = [_shown(index, int(row), stores, fps) for row in rows]
    what = "parts of recordings" if index.windows else "recorded movements"
    intro = f"{len(rows)} of the {len(index)} {what} that this index searches."
    spread = index.spread
    usual = f"95 % of these clips have another at a centred similarity of {spread.usual:.2f} or above."
    return index_page(path.resolve().name, intro, clips, places, [usual, *filter(None, [spread.sentence])])


def _shown(index: MotionIndex, row: int, stores: dict[int, Store], fps: float | None) -> RenderableClip:
    record = index.rows[row]
    store = stores[int(record["store"])]
    joints = index.joints(row, store)
    rate = fps or rate_of(store, int(record["clip"]))
    facts = {"class": index.class_names[record["label"]]} if record["label"] >= 0 else {}
    if record["length"] < record["frames"]:
        start, stop = (float(value) / rate for value in (record["start"], record["start"] + record["length"]))
        facts["from"] = f"{start:.1f} s to {stop:.1f} s"
    facts |= {field: str(record[field]) for field in ("subject", "camera") if record[field] >= 0}
    facts["length"] = length_fact(int(record["length"]), fps or float(store.fps[int(record["clip"])]))
    return RenderableClip(index.name(row), joints, index.layout, facts, rate)
