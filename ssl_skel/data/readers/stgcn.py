"""ST-GCN's arrays (Yan, Xiong & Lin, AAAI 2018), which 2s-AGCN, AimCLR, CrosSCLR and many others share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.config import Section
from ssl_skel.data.clip import BadClip, RawClip, attempt
from ssl_skel.data.readers.base import Reader
from ssl_skel.data.readers.estimators import TrackedOptions
from ssl_skel.data.readers.ntu_facts import CLASS_NAMES, columns
from ssl_skel.data.readers.plain_pickle import load_plain
from ssl_skel.data.readers.text_table import unseen
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, LayoutLike, load_layout

_SIDES = {"train": "train", "val": "test", "test": "test"}
_FORMS = ("{}_data.npy", "{}_data_joint.npy", "{}_position.npy")
_BY_COUNT = {25: "ntu25", 18: "openpose18"}


class StGcnReader(Reader):
    """``train_data.npy``, ``val_data.npy`` (N, C, T, V, M) and ``train_label.pkl``, ``val_label.pkl`` (names, labels).

    The arrays may also be called ``…_data_joint.npy`` (2s-AGCN) or ``…_position.npy`` (AimCLR). They are memory-mapped,
    and the labels read without running what is in them (see ``plain_pickle``). 25 joints are NTU's, 18 OpenPose's,
    whose third channel is a score and is dropped; other layouts are given. Zeros are padding, or a person who is not
    there. Names like NTU's give subject, camera, setup and replication.

    Split: ``given``, the file that holds a clip.
    """

    archive = True
    Options = TrackedOptions

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        self.source = Path(source)
        self.options = options or self.Options()
        self._labels: dict[Path, tuple[list[str], list[Any]]] = {}
        sides: dict[str, list[str]] = {"train": [], "test": []}
        shapes = {}
        for file in self.files():
            shapes[file] = _map(file).shape
            self._labels[file] = _read_labels(file, shapes[file][0])
            sides[_SIDES[_side(file)]] += self._labels[file][0]
        joints = {shape[3] for shape in shapes.values()}
        if len(joints) > 1:
            raise UserError(f"{self.source}: the arrays have different numbers of joints; convert them separately")
        self._count = joints.pop()
        if layout is None and self._count not in _BY_COUNT:
            raise UserError(f"{next(iter(shapes))}: has {self._count} joints; give --layout")
        self.layout = load_layout(layout) if layout is not None else LAYOUTS[_BY_COUNT[self._count]]
        count = 1 + max(
            (label for _, labels in self._labels.values() for label in labels if _is_class(label)), default=-1
        )
        ntu = self.layout.name == "ntu25" and count in (60, 120)
        self.class_names = CLASS_NAMES[:count] if ntu else tuple(map(str, range(count)))
        both = sides["train"] and sides["test"]
        given: dict[str, Any] = {side: {"name": names} for side, names in sides.items()}
        self.splits: dict[str, dict[str, Any]] = {"given": given} if both else {}

    def files(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        found = self._find("*.npy", "train_data.npy and train_label.pkl")
        files = [file for file in found if any(file.name == form.format(side) for form in _FORMS for side in _SIDES)]
        if len({_SIDES[_side(file)] for file in files}) < len(files) or not files:
            raise UserError(f"{self.source}: needs one train_data.npy (or the like) and one val_data.npy; give a file")
        return files

    def read(self, file: Path) -> Iterator[RawClip | BadClip]:
        data = _map(file)
        names, labels = self._labels[file]
        for row, (name, label) in enumerate(zip(names, labels, strict=True)):
            yield attempt(name, partial(self._clip, file, data[row], name, label))

    def _clip(self, file: Path, data: np.ndarray, name: str, label: Any) -> RawClip:
        """A clip from its part (C, T, V, M) of an array."""
        if not _is_class(label):
            found = f"label of {name!r} is {str(label)[:40]!r}"
            raise UserError(f"{_labels_of(file)}: {found}, not a class number; download it again")
        channels = 2 if self.layout.name == "openpose18" else len(data)
        joints = unseen(np.array(data[:channels]).transpose(3, 1, 2, 0))
        if channels == 3:  # a joint at the very origin is one; a person with all joints there is none
            joints = np.where(np.isnan(joints).all((2, 3), keepdims=True), np.nan, np.nan_to_num(joints))
        seen = np.isfinite(joints).any((2, 3))
        length = 1 + int(np.flatnonzero(seen.any(0)).max(initial=0))
        clip = joints[seen.any(1), :length].astype(np.float32)
        return RawClip(name, clip, **(columns(name) | {"label": label}))


def _side(file: Path) -> str:
    side = file.name.partition("_")[0]
    return side if side in _SIDES else "train"


def _map(file: Path) -> np.ndarray:
    """The array of a file, memory-mapped."""
    try:
        data: np.ndarray = np.lib.format.open_memmap(file, mode="r")
    except Exception as error:  # NumPy parses a damaged header as Python, and may raise anything
        raise UserError(f"{file}: is damaged or truncated, or no .npy of plain numbers; download it again") from error
    if not isinstance(data, np.ndarray) or data.ndim != 5 or data.shape[1] not in (2, 3) or data.dtype.kind != "f":
        shape = getattr(data, "shape", None)
        raise UserError(f"{file}: has shape {shape}; expected (clips, 2 or 3, frames, joints, persons) of floats")
    return data


def _is_class(label: Any) -> bool:
    return type(label) is int and 0 <= label < 10**6


def _labels_of(file: Path) -> Path:
    return file.with_name(f"{file.name.partition('_')[0]}_label.pkl")


def _read_labels(file: Path, clips: int) -> tuple[list[str], list[Any]]:
    """Names (without ``.skeleton``) and labels, unchanged, of the clips of a file."""
    labels = _labels_of(file)
    if not labels.is_file():
        raise UserError(f"{file}: {labels.name} is missing; put it beside this file")
    pair = load_plain(labels)
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(isinstance(part, list) for part in pair):
        raise UserError(f"{labels}: is not a pair of lists, names and labels; download it again")
    names, numbers = pair
    fits = len(names) == len(numbers) == clips
    if not fits or not all(isinstance(name, str) for name in names):
        raise UserError(f"{labels}: has {len(names)} names and {len(numbers)} labels for {clips} clips")
    return [name.removesuffix(".skeleton") for name in names], numbers
