"""The record that an index keeps of each vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ssl_skel.errors import UserError


def row_type(name_bytes: int) -> np.dtype:
    """Record of one vector.

    ``store`` is a number in ``meta.json``'s list, ``clip`` a row of that store, ``start`` and ``length`` are frames of
    the clip, which has ``frames`` of them. ``content`` is the hash of the clip's recording. Names are UTF-8.
    """
    numbers = ("store", "clip", "start", "length", "frames", "label", "subject", "camera")
    return np.dtype([*((field, "<i8") for field in numbers), ("content", "<u8"), ("name", f"S{max(1, name_bytes)}")])


def check_rows(file: Path, rows: np.ndarray, stores: int, classes: int) -> None:
    """Refuse impossible numbers of stores, classes and frames.

    Raises:
        UserError: names the file and the field.
    """
    limits = {"store": (0, stores - 1), "clip": (0, None), "start": (0, None), "length": (1, None)}
    limits["label"] = (-1, classes - 1)
    for field, (least, most) in limits.items():
        if (rows[field] < least).any() or (most is not None and (rows[field] > most).any()):
            raise UserError(f"{file}: {field}: is damaged; build the index again with --overwrite")
