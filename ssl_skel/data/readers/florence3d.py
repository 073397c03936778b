"""Florence 3D Actions (Seidenari et al., CVPR Workshops 2013)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ssl_skel.data.clip import BadClip, RawClip, attempt
from ssl_skel.data.readers.base import Reader, odd_even
from ssl_skel.data.readers.text_table import Rows, read_rows, unseen
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

_FAR = 50.0  # metres; nobody stands so far from a Kinect


class Florence3DReader(Reader):
    """One text file ``…WorldCoordinates.txt`` with all clips; 9 classes, 10 subjects.

    A row is a frame: video, actor and category, then 15 joints x (x, y, z). The published file counts in millimetres
    with y up, as a Kinect does. Metres are read too; there **z is up** and y is depth, which becomes y up and z depth.
    Which of the two a file holds follows from its numbers.

    Paper: one actor is left out at a time. Split: ``xsub``, odd subjects against even.
    """

    layout = LAYOUTS["florence15"]
    class_names = (
        *("wave", "drink from a bottle", "answer phone", "clap", "tight lace", "sit down", "stand up", "read watch"),
        "bow",
    )
    splits = {"xsub": odd_even(range(1, 11))}  # noqa: RUF012 - never changed

    def files(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        return self._find("*WorldCoordinates.txt", "Florence_dataset_WorldCoordinates.txt")

    def read(self, file: Path) -> Iterator[RawClip | BadClip]:
        rows = read_rows(file, 48, "video, actor, category and 15 x 3")
        in_mm = _counts_in_mm(rows.numbers)
        for video in np.unique(rows.numbers[:, 0]):  # of NaN there is one
            same = rows.numbers[:, 0] == video if np.isfinite(video) else ~np.isfinite(rows.numbers[:, 0])
            name = f"video{int(video):03}" if np.isfinite(video) else "rows without a video"
            yield attempt(name, partial(self._clip, file, name, rows, np.flatnonzero(same), in_mm=in_mm))

    def _clip(self, file: Path, name: str, rows: Rows, at: np.ndarray, *, in_mm: bool) -> RawClip:
        """The clip of the rows at some places."""
        rows.refuse_damage(at)
        clip = rows.numbers[at]
        heading = clip[:, :3]
        if not ((heading >= 0) & (heading < 10**6) & (heading == np.floor(heading))).all():
            raise UserError(f"{file}: video, actor and category: some are not whole numbers; download it again")
        _, actor, category = heading[0].astype(int).tolist()
        if (heading != heading[0]).any() or not 1 <= category <= len(self.class_names):
            raise UserError(f"{file}: video {int(heading[0, 0])}: needs one actor and one category from 1 to 9")
        joints = clip[:, 3:].reshape(-1, 15, 3)
        joints = unseen(0.001 * joints if in_mm else joints[..., [0, 2, 1]])
        return RawClip(name, joints[None], category - 1, subject=actor)


def _counts_in_mm(numbers: np.ndarray) -> bool:
    """Whether the rows of a file (F, 48) count in millimetres: in metres people would be out of sight."""
    farthest = np.nanmax(np.abs(numbers[:, 3:]), axis=1, initial=0, where=np.isfinite(numbers[:, 3:]))
    return bool(np.median(farthest) > _FAR)
