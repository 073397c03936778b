"""UTKinect-Action3D (Xia, Chen & Aggarwal, CVPR Workshops 2012)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssl_skel.config import Section
from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.base import Reader, match_name, odd_even
from ssl_skel.data.readers.text_table import read_table, unseen
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

_NAME = re.compile(r"joints_s(\d+)_e(\d+)")
_EXAMPLE = "joints/joints_s01_e01.txt"
_TITLE = re.compile(r"s(\d+)_e(\d+)")
_LINE = re.compile(r"(\w+)\s*:\s*(\d+|NaN)\s+(\d+|NaN)")


class UtKinectReader(Reader):
    """Text files ``joints/joints_sSS_eEE.txt`` (subject, try) and ``actionLabel.txt`` beside the folder; 10 classes.

    A file is a session of ten actions; a row is a frame: its number, then 20 joints x (x, y, z), metres. Of rows with
    the same number the first counts; gaps in the numbers are closed. ``actionLabel.txt`` tells the first and last frame
    of each action after a line ``sSS_eEE``; one that is ``NaN NaN`` is no clip.

    Paper silent on subjects (it leaves one sequence out at a time). Split: ``xsub``, odd subjects against even.
    """

    layout = LAYOUTS["kinect20"]
    class_names = ("walk", "sitDown", "standUp", "pickUp", "carry", "throw", "push", "pull", "waveHands", "clapHands")
    splits = {"xsub": odd_even(range(1, 11))}  # noqa: RUF012 - never changed

    def __init__(self, source: Path, layout: str | None = None, options: Section | None = None) -> None:
        super().__init__(source, layout, options)
        self.files()
        self._labels = _read_labels(self.source / "actionLabel.txt", self.class_names)

    def files(self) -> list[Path]:
        return self._find("joints/joints_*.txt", _EXAMPLE)

    def read(self, file: Path) -> Iterator[RawClip]:
        subject, number = match_name(file.stem, _NAME, file, _EXAMPLE)
        if (subject, number) not in self._labels:
            raise UserError(f"{file}: actionLabel.txt tells nothing of s{subject:02}_e{number:02}; add its lines")
        rows = read_table(file, 61, "a frame number and 20 x 3")
        _, first = np.unique(rows[:, 0], return_index=True)
        rows = rows[first]
        for label, begin, end in self._labels[subject, number]:
            within = rows[(rows[:, 0] >= begin) & (rows[:, 0] <= end), 1:]
            name = f"s{subject:02}_e{number:02}_{self.class_names[label]}"
            joints = unseen(within.reshape(-1, 20, 3))
            yield RawClip(name, joints[None], label, subject=subject, replication=number)


def _read_labels(file: Path, class_names: tuple[str, ...]) -> dict[tuple[int, int], list[tuple[int, int, int]]]:
    """(subject, try) -> (label, first frame, last frame) of its actions."""
    try:
        lines = file.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("ascii").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read; it is needed to cut the sessions into actions") from error
    labels: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    session: list[tuple[int, int, int]] | None = None
    for number, line in enumerate(lines, 1):
        title, action = _TITLE.fullmatch(line.strip()), _LINE.fullmatch(line.strip())
        if title:
            session = labels.setdefault((int(title[1]), int(title[2])), [])
        elif action and session is not None and action[1] in class_names:
            if "NaN" not in (action[2], action[3]):
                session.append((class_names.index(action[1]), int(action[2]), int(action[3])))
        elif line.strip():
            raise UserError(f"{file}: line {number}: is {line[:40]!r}; expected 's01_e01' or 'walk: 252 390'")
    return labels
