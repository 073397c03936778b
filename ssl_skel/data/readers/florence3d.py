"""Florence 3D Actions (Seidenari et al., CVPR Workshops 2013)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.base import Reader, odd_even
from ssl_skel.data.readers.text_table import read_table, unseen
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS


class Florence3DReader(Reader):
    """One text file ``…WorldCoordinates.txt`` with all clips; 9 classes, 10 subjects.

    A row is a frame: video, actor and category, then 15 joints x (x, y, z) in metres, where **z is up** and y is depth;
    here they become y up and z depth.

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

    def read(self, file: Path) -> Iterator[RawClip]:
        rows = read_table(file, 48, "video, actor, category and 15 x 3")
        told = rows[:, :3]
        if not ((told >= 0) & (told < 10**6) & (told == np.floor(told))).all():
            raise UserError(f"{file}: video, actor and category: some are no whole numbers; download it again")
        for video in np.unique(told[:, 0]):
            clip = rows[told[:, 0] == video]
            _, actor, category = clip[0, :3].astype(int).tolist()
            if (clip[:, 1:3] != clip[0, 1:3]).any() or not 1 <= category <= len(self.class_names):
                raise UserError(f"{file}: video {int(video)}: needs one actor and one category from 1 to 9")
            joints = unseen(clip[:, 3:].reshape(-1, 15, 3)[..., [0, 2, 1]])
            yield RawClip(f"video{int(video):03}", joints[None], category - 1, subject=actor)
