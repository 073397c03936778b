"""CTR-GCN's ``.npz`` of NTU RGB+D, which MAMP, STARS, SLiM and many others share: ``NTU60_CS.npz`` and the like."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.config import Section
from ssl_skel.data.clip import BadClip, RawClip, attempt
from ssl_skel.data.npz_members import DAMAGE, MOST_CLIPS, read_blocks, read_columns, read_shape
from ssl_skel.data.readers.base import Reader
from ssl_skel.data.readers.ntu_facts import CLASS_NAMES
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, LayoutLike

_SIDES = ("train", "test")
_PERSONS, _JOINTS = 2, 25
_SPLITS = {"CS": "xsub", "CSUB": "xsub", "XSUB": "xsub", "CV": "xview", "XVIEW": "xview", "CSET": "xset"} | {
    "XSET": "xset"
}


class CtrGcnReader(Reader):
    """Members ``x_train``, ``x_test`` (N, T, 150), T frames of 2 persons x 25 joints x 3, and one-hot ``y_…`` (N, K).

    Clips are read one by one. Zeros are padding, or a person who is not there. Clips were centred, and persons put in
    order, when the file was made, and it has neither their names nor subjects: clips are named ``train_000000``. Files
    of 60 or 120 classes get NTU's class names.

    Split: what the file's name says (``CS``, ``XSub``: xsub; ``CV``, ``XView``: xview; ``CSet``, ``XSet``: xset), else
    ``given``.
    """

    layout = LAYOUTS["ntu25"]
    archive = True
    ordered = True

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        super().__init__(source, layout, options)
        (file,) = self.files()
        self._labels = {side: _read_labels(file, side) for side in _SIDES}
        classes = {side: one_hot.shape[1] for side, one_hot in self._labels.items()}
        if len(set(classes.values())) > 1:
            raise UserError(f"{file}: y_train and y_test: have {classes['train']} and {classes['test']} classes")
        count = classes["train"]
        self.class_names = CLASS_NAMES[:count] if count in (60, 120) else tuple(map(str, range(count)))
        name = _SPLITS.get(file.stem.rpartition("_")[2].upper(), "given")
        self.splits: dict[str, dict[str, Any]] = {
            name: {side: {"name": [_name(side, row) for row in range(len(self._labels[side]))]} for side in _SIDES}
        }

    def files(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        files = self._find("*.npz", "NTU60_CS.npz")
        if len(files) > 1:
            raise UserError(f"{self.source}: holds {len(files)} .npz files; give one of them, such as {files[0].name}")
        return files

    def read(self, file: Path) -> Iterator[RawClip | BadClip]:
        for side in _SIDES:
            labels = self._labels[side]
            blocks = read_blocks(file, f"x_{side}", np.ones(len(labels), int))
            for row, one_hot in enumerate(labels):
                try:
                    flat = next(blocks)[0]
                except DAMAGE as error:
                    problem = UserError(f"{file}: x_{side}: is truncated or damaged from clip {row} on")
                    problem.__cause__ = error
                    yield from (BadClip(_name(side, lost), problem) for lost in range(row, len(labels)))
                    break  # the other side is a member of its own
                yield attempt(_name(side, row), partial(_clip, file, side, row, flat, one_hot))


def _clip(file: Path, side: str, row: int, flat: np.ndarray, one_hot: np.ndarray) -> RawClip:
    """A clip from its row of numbers (T, 150) and its classes (K,) bool."""
    if one_hot.sum() != 1:
        raise UserError(f"{file}: y_{side}: row {row} names no class, or several; make the file again")
    joints = flat.reshape(len(flat), _PERSONS, _JOINTS, 3).swapaxes(0, 1).astype(np.float32)
    seen = (joints != 0).any((2, 3))
    joints[~seen] = np.nan
    length = 1 + int(np.flatnonzero(seen.any(0)).max(initial=0))
    return RawClip(_name(side, row), joints[seen.any(1), :length], int(one_hot.argmax()))


def _name(side: str, row: int) -> str:
    return f"{side}_{row:06d}"


def _read_labels(file: Path, side: str) -> np.ndarray:
    """One-hot labels (N, K) of a side, checked against the shape of its joints."""
    try:
        labels = read_columns(file, [f"y_{side}"])[f"y_{side}"]
        shape, dtype, whole = read_shape(file, f"x_{side}")
    except DAMAGE as error:
        raise UserError(f"{file}: is damaged, or no .npz with x_train, y_train, x_test and y_test") from error
    wanted = _PERSONS * _JOINTS * 3
    if not whole:
        raise UserError(f"{file}: x_{side}: is truncated; download it again")
    if len(shape) != 3 or shape[2] != wanted or dtype.kind != "f":
        raise UserError(f"{file}: x_{side}: has shape {shape} of {dtype}; expected (N, frames, {wanted}) of floats")
    if labels.ndim != 2 or len(labels) != shape[0] or labels.dtype.kind not in "fiub":
        raise UserError(f"{file}: y_{side}: has shape {labels.shape}; expected one-hot rows for {shape[0]} clips")
    if len(labels) > MOST_CLIPS:
        raise UserError(f"{file}: y_{side}: holds more than {MOST_CLIPS:,} clips; split it up")
    return labels != 0
