"""All clips of a store, one after the other, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssl_skel.data.clip_columns import blocks_of
from ssl_skel.data.store import Store


def clips_in_turn(store: Store) -> Iterator[np.ndarray]:
    """Joints (M, T, V, C) float32 of each clip, in the order of the rows.

    They are read from the file: pages of the mapping would stay in memory once they were touched.
    """
    if not isinstance(store.joints, np.memmap) or store.joints.filename is None:
        yield from map(store.clip, range(len(store)))
        return
    shape, dtype = store.joints.shape[1:], store.joints.dtype
    with Path(store.joints.filename).open("rb") as file:
        file.seek(store.joints.offset)
        for block in zip(blocks_of(store.persons), blocks_of(store.frames), strict=True):
            for persons, frames in np.stack(block, 1).tolist():
                rows = np.fromfile(file, dtype, persons * frames * shape[0] * shape[1])
                yield rows.astype(np.float32, copy=False).reshape(persons, frames, *shape)
