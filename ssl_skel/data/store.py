"""The store: all clips of a data set in one memory-mapped array.

A store is a folder::

    joints.npy   (F, V, C) float32 or float16; clip i, person m, frame t is row offset[i] + m * frames[i] + t
    clips.npz    one number or name per clip: offset, frames, persons, label, subject, ...
    meta.json    layout, class names, splits, normalisation, provenance, sha256 of joints.npy, format version

Absent persons take no space, and nothing in it is missing: gaps were filled at conversion. float16 takes half
the space and rounds each coordinate by at most 2^-11 of its size: 1 mm at 2 to 4 m from the origin, 0.5 mm nearer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_skel.data.clip_columns import ALL_COLUMNS, check_columns, open_columns
from ssl_skel.data.conversion import Conversion
from ssl_skel.data.mapped import map_array
from ssl_skel.data.meta import Provenance, read_meta
from ssl_skel.data.normalize import NormalizeConfig, filled_positions
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout


@dataclass(frozen=True, eq=False)
class Store:
    """Clips to read from: a store that was opened, or clips in memory, which have no folder.

    Attributes:
        path: its folder; in memory, what messages call it.
        layout: joints of all clips.
        class_names: one per label.
        splits: name -> sides, in the form of ``ssl_skel.data.splits``; empty where none are known.
        normalization: what was done to each clip; None where nothing is recorded.
        filled: how many joint positions it filled.
        provenance: where the clips come from.
        sha256: of ``joints.npy``, as noted when it was written; ``verify`` compares. Empty in memory.
        joints: (F, V, C) float32 or float16, memory-mapped; writing to it changes no file.
        offset, frames, persons: (N,) int64, where a clip is stored; see the module's text.
        label, subject, camera, setup, replication: (N,) int64, -1 where unknown.
        recording: (N,) int64, equal for clips that were cut from one recording, -1 where unknown.
        fps: (N,) float64, frames a second; 0 where unknown, as in stores of the first releases.
        name: (N,) str, unique.
        content: (N,) uint64, hash of the recording before normalisation; copies have equal ones.
        value_names: column -> name of a value -> its number, for columns whose values have names.
    """

    path: Path
    layout: SkeletonLayout
    class_names: tuple[str, ...]
    splits: Mapping[str, Any]
    normalization: NormalizeConfig | None
    filled: int
    provenance: Provenance
    sha256: str
    joints: np.ndarray
    offset: np.ndarray
    frames: np.ndarray
    persons: np.ndarray
    label: np.ndarray
    subject: np.ndarray
    camera: np.ndarray
    setup: np.ndarray
    replication: np.ndarray
    recording: np.ndarray
    fps: np.ndarray
    name: np.ndarray
    content: np.ndarray
    value_names: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """Open a store without reading its coordinates; takes milliseconds.

        Columns of more than ``READ_WHOLE`` bytes are mapped, not read, and are checked when one of them is first used.

        Raises:
            UserError: no store there, another format version, or damage.
        """
        path = Path(path)
        meta, layout, normalization = read_meta(path)
        shape, dtype = meta.shape(layout)
        joints = map_array(path / "joints.npy", shape, dtype, "convert again with --overwrite", "c")
        file, classes = path / "clips.npz", len(meta.class_names)
        columns, read = open_columns(file)
        if read:
            check_columns(file, columns, shape[0], classes)
        store = cls(
            path=path,
            layout=layout,
            class_names=meta.class_names,
            splits=meta.splits,
            value_names=meta.value_names,
            normalization=normalization,
            filled=filled_positions(meta.normalization),
            provenance=meta.provenance,
            sha256=meta.sha256,
            joints=joints,
            **columns,
        )
        if not read:
            store._check_later(file, classes)
        return store

    def _check_later(self, file: Path, classes: int) -> None:
        """Hide the columns until one of them is needed, and check them then."""
        columns = {name: self.__dict__.pop(name) for name in ALL_COLUMNS}

        def checked() -> dict[str, np.ndarray]:
            check_columns(file, columns, len(self.joints), classes)
            return columns

        self.__dict__["_checked"] = checked

    if not TYPE_CHECKING:  # it would make every attribute known to type checkers

        def __getattr__(self, name: str) -> Any:
            """A column of a large store, at the first use of one."""
            if name not in ALL_COLUMNS or "_checked" not in self.__dict__:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            self.__dict__.update(self._checked())
            return self.__dict__[name]

    def __len__(self) -> int:
        """N, clips."""
        return len(self.offset)

    @property
    def num_classes(self) -> int:
        """Number of class names."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """C, coordinates per joint."""
        return int(self.joints.shape[2])

    @property
    def conversions(self) -> tuple[Conversion, ...]:
        """How recordings became its clips, as far as it is recorded."""
        return self.provenance.conversions

    @cached_property
    def max_persons(self) -> int:
        """Most persons in one clip."""
        return int(self.persons.max())

    def clip(self, i: int) -> np.ndarray:
        """Joints (M, T, V, C) float32 of one clip; a view, or a copy where the store is float16."""
        persons, frames, start = int(self.persons[i]), int(self.frames[i]), int(self.offset[i])
        rows = self.joints[start : start + persons * frames].astype(np.float32, copy=False)
        return rows.reshape(persons, frames, *self.joints.shape[1:])

    def called(self, column: str, number: int) -> str:
        """What a subject, camera, setup, replication or recording is called: by its name, or else its number."""
        names = self.value_names.get(column, {})
        return next((name for name, value in names.items() if value == number), str(number))

    def verify(self) -> None:
        """Read all of ``joints.npy`` and compare its sha256.

        Raises:
            UserError: it is not what was written.
        """
        if hash_file(self.path / "joints.npy") != self.sha256:
            raise UserError(f"{self.path / 'joints.npy'}: sha256 differs from meta.json's; convert again")


def hash_file(file: Path) -> str:
    """sha256 of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
