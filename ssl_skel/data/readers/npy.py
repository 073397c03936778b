"""A user's own arrays: a folder of ``.npy`` files, one clip each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.described import DescribedReader, name_of
from ssl_skel.data.readers.description import to_metres
from ssl_skel.data.readers.plane import ArrayDescription, in_heights
from ssl_skel.errors import UserError


class NpyDescription(ArrayDescription):
    """``recordings.yaml`` in a folder of arrays."""


class NpyReader(DescribedReader):
    """Arrays (T, V, C) or (M, T, V, C) of numbers; C is 2 or 3; NaN where a joint was not tracked.

    What an array cannot say is in ``recordings.yaml`` (see ``DescribedReader``); nothing in a file is run.
    """

    Options = NpyDescription
    options: NpyDescription
    pattern = "**/*.npy"
    example = "wave/clip01.npy"
    suffixes = (".npy",)
    endings = (".npy",)

    def files(self) -> list[Path]:
        if self.source.is_file() and self.source.suffix != ".npy":
            raise UserError(f"{self.source}: is no .npy file; .npz files are read by the format npz")
        return super().files()

    def read(self, file: Path) -> Iterator[RawClip]:
        joints = _load(file)
        if joints.ndim == 3:
            joints = joints[None]
        if joints.ndim != 4 or joints.shape[2] != self.layout.num_joints or joints.shape[3] not in (2, 3):
            wanted = f"{self.layout.num_joints} joints of {self.layout.name}, 2 or 3 coordinates"
            raise UserError(f"{file}: has shape {joints.shape}; expected (frames, {wanted}), or persons before")
        joints, noticed = in_heights(joints, self.options, file)
        for key, own in self._keys(file):
            columns = self._columns(file, self._texts(file, key, own))
            yield RawClip(name_of(key), to_metres(joints, self.options, file), **columns, dropped=noticed)


def _load(file: Path) -> np.ndarray:
    try:
        mapped = np.lib.format.open_memmap(file, mode="r")  # allocates nothing for what is not there
        size = mapped.offset + mapped.nbytes
        joints = np.array(mapped)
    except Exception as error:  # NumPy parses a damaged header as Python, and may raise anything
        raise UserError(f"{file}: is damaged or truncated, or no .npy of plain numbers; write it again") from error
    if joints.dtype.kind not in "fiu" or file.stat().st_size != size:
        raise UserError(f"{file}: holds something other than one array of numbers; write it again")
    return joints
