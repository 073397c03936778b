"""Plain text: rows of numbers without a header, as programs for a Kinect write them; one file per recording."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.described import DescribedReader, name_of
from ssl_skel.data.readers.description import to_metres
from ssl_skel.data.readers.text_table import read_any_table, unseen
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout

_KINECTS = {25: "ntu25", 20: "kinect20"}  # joints of a Kinect v2 and v1


class TextReader(DescribedReader):
    """``.txt`` files of numbers separated by white space or commas, described by ``recordings.yaml``.

    A row is a frame: x, y, z of all joints in the layout's order, perhaps after a number or time of the frame. Or a row
    is a joint: x, y, z, perhaps with one more number, and as many rows per frame as the layout has joints::

        0.12 0.03 2.87 0.13 0.31 2.84 …              75 numbers: a frame of a Kinect v2 (ntu25)
        17 0.12 0.03 2.87 0.13 0.31 2.84 …           76 numbers: the same after the frame's number
        0.12 0.03 2.87 1                             a joint and its confidence; 25 such rows per frame

    Rows of 75 or 60 numbers are a Kinect's (25 joints of ``ntu25``, 20 of ``kinect20``); other layouts are given. A
    joint of zeros was not tracked.
    """

    pattern = "**/*.txt"
    example = "wave/clip01.txt"
    suffixes = (".txt",)

    def files(self) -> list[Path]:
        """As ``DescribedReader``; texts that begin with a word are notes, not recordings."""
        if self.source.is_file():
            return [self.source]
        texts = self._find(self.pattern, self.example)
        files = [file for file in texts if _begins_with_number(file)]
        if not files:
            raise UserError(
                f"{texts[0]}: does not begin with a number, and the folder holds no *.txt that does; "
                "give the folder that holds the recordings"
            )
        return files

    def read(self, file: Path) -> Iterator[RawClip]:
        rows, count = read_any_table(file), self.layout.num_joints
        width = rows.shape[1]
        if width in (3 * count, 3 * count + 1):
            joints = rows[:, width - 3 * count :].reshape(-1, count, 3)
        elif width in (3, 4) and len(rows) % count == 0:
            joints = rows.reshape(-1, count, width)[..., :3]
        else:
            raise UserError(
                f"{file}: has {len(rows)} rows of {width} numbers; expected rows of {3 * count} (or one more before), "
                f"or {count} rows of 3 per frame, for the {count} joints of {self.layout.name}"
            )
        joints = to_metres(unseen(joints), self.options, file)
        for key, own in self._keys(file):
            yield RawClip(name_of(key), joints[None], **self._columns(file, self._texts(file, key, own)))

    def _own_layout(self, files: list[Path]) -> SkeletonLayout:
        """The layout that the description names, or the Kinect's that fits the first file's rows."""
        if self.options.layout:
            return super()._own_layout(files)
        width = read_any_table(files[0]).shape[1]
        name = _KINECTS.get(width // 3 if width % 3 in (0, 1) else 0)
        return LAYOUTS[name] if name else super()._own_layout(files)


def _begins_with_number(file: Path) -> bool:
    with file.open("rb") as stream:
        words = stream.read(4096).removeprefix(b"\xef\xbb\xbf").replace(b",", b" ").split()
    try:
        return bool(words) and math.isfinite(float(words[0]))
    except ValueError:
        return False
