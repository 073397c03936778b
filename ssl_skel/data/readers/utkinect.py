"""UTKinect-Action3D (Xia, Chen & Aggarwal, CVPR Workshops 2012)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ssl_skel.config import Section
from ssl_skel.data.clip import BadClip, RawClip, attempt
from ssl_skel.data.dropped import gaps
from ssl_skel.data.readers.base import Reader, match_name, odd_even
from ssl_skel.data.readers.text_table import Rows, read_rows, unseen
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, LayoutLike

_NAME = re.compile(r"joints_s(\d+)_e(\d+)")
_EXAMPLE = "joints/joints_s01_e01.txt"
_LABELS = "actionLabel.txt"
_TITLE = re.compile(r"s(\d{1,9})_e(\d{1,9})")
_LINE = re.compile(r"(\w+)\s*:\s*(\d{1,9}|NaN)\s+(\d{1,9}|NaN)")


Action = tuple[int, int, int] | BadClip
"""Label, first frame and last frame of an action, or the line that should give them."""


class UtKinectReader(Reader):
    """Text files ``joints/joints_sSS_eEE.txt`` (subject, try) and ``actionLabel.txt`` beside or among them; 10 classes.

    A file is a session of ten actions; a row is a frame: its number, then 20 joints x (x, y, z), metres. Of rows with
    the same number the first counts; gaps in the numbers are closed, and counted. ``actionLabel.txt`` gives the first
    and last frame of each action after a line ``sSS_eEE``; one that is ``NaN NaN`` is not a clip.

    Paper silent on subjects (it leaves one sequence out at a time). Split: ``xsub``, odd subjects against even.
    """

    layout = LAYOUTS["kinect20"]
    class_names = ("walk", "sitDown", "standUp", "pickUp", "carry", "throw", "push", "pull", "waveHands", "clapHands")
    splits = {"xsub": odd_even(range(1, 11))}  # noqa: RUF012 - never changed

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        super().__init__(source, layout, options)
        joints = self.files()[0].parent
        beside = (joints.parent / _LABELS, joints / _LABELS)
        self._labels = _read_labels(next((file for file in beside if file.is_file()), beside[0]), self.class_names)

    def files(self) -> list[Path]:
        inside = self.source.is_dir() and any(self.source.glob("joints_*.txt"))
        return self._find("joints_*.txt" if inside else "joints/joints_*.txt", _EXAMPLE)

    def read(self, file: Path) -> Iterator[RawClip | BadClip]:
        subject, number = match_name(file.stem, _NAME, file, _EXAMPLE)
        if (subject, number) not in self._labels:
            raise UserError(f"{file}: actionLabel.txt has no lines for s{subject:02}_e{number:02}; add them")
        rows = read_rows(file, 61, "a frame number and 20 x 3")
        session = f"s{subject:02}_e{number:02}"
        for action in self._labels[subject, number]:
            if isinstance(action, BadClip):
                yield BadClip(f"{session}, {action.name}", action.error)
                continue
            name = f"{session}_{self.class_names[action[0]]}"
            yield attempt(name, partial(_clip, name, rows, action, subject, number))


def _clip(name: str, rows: Rows, action: tuple[int, int, int], subject: int, number: int) -> RawClip:
    """The rows of one action; a damaged row without a frame number counts to the frame before."""
    label, begin, end = action
    frames = rows.numbers[:, 0]
    known = np.isfinite(frames)
    nearest = np.maximum.accumulate(np.where(known, np.arange(len(frames)), 0))
    rows.refuse_damage(np.flatnonzero((frames[nearest] >= begin) & (frames[nearest] <= end)))
    numbers, first = np.unique(frames[known], return_index=True)
    within = rows.numbers[known][first[(numbers >= begin) & (numbers <= end)]]
    joints, dropped = unseen(within[:, 1:].reshape(-1, 20, 3))[None], gaps(within[:, 0])
    recording = 1000 * subject + number
    return RawClip(name, joints, label, subject=subject, replication=number, recording=recording, dropped=dropped)


def _read_labels(file: Path, class_names: tuple[str, ...]) -> dict[tuple[int, int], list[Action]]:
    """(subject, try) -> its actions."""
    try:
        lines = file.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("ascii").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read; it is needed to cut the sessions into actions") from error
    labels: dict[tuple[int, int], list[Action]] = {}
    session: list[Action] | None = None
    for number, line in enumerate(lines, 1):
        title, action = _TITLE.fullmatch(line.strip()), _LINE.fullmatch(line.strip())
        if title:
            session = labels.setdefault((int(title[1]), int(title[2])), [])
        elif action and session is not None and action[1] in class_names:
            if "NaN" not in (action[2], action[3]):
                session.append((class_names.index(action[1]), int(action[2]), int(action[3])))
        elif line.strip():
            problem = UserError(f"{file}: line {number}: is {line[:40]!r}; expected 's01_e01' or 'walk: 252 390'")
            if session is None or ":" not in line:  # perhaps a title, without which later actions would go astray
                raise problem
            session.append(BadClip(f"line {number} of {file.name}", problem))
    return labels
