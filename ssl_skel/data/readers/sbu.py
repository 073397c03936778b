"""SBU Kinect Interaction (Yun et al., CVPR Workshops 2012): two persons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.base import Reader, match_name
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

_NAME = re.compile(r"s(\d+)s(\d+)_(\d+)_(\d+)")
_EXAMPLE = "s01s02/01/001/skeleton_pos.txt"
# The paper's five folds, by pair of subjects: 100 * actor + other.
_FOLDS = (
    (102, 304, 502, 604),
    (203, 207, 305, 503),
    (103, 107, 701, 703),
    (201, 206, 302, 306),
    (402, 403, 406, 602, 603),
)
# Undoes the published normalisation: x' = 1280 - 2560 x, y' = 960 - 1920 y, z' = 10000 z / 7.8125, millimetres.
_SCALE = np.array([-2.56, -1.92, 1.28])
_SHIFT = np.array([1.28, 0.96, 0.0])


class SbuReader(Reader):
    """Text files ``sXXsYY/CC/RRR/skeleton_pos.txt``: actor and other subject, class, repetition; 8 classes, 15 joints.

    A row is a frame: its number, then 2 persons x 15 joints x (x, y, z). The column ``setup`` is the pair,
    100 * actor + other; ``subject`` is the actor.

    Splits: ``fold1`` to ``fold5``, each testing on one of the paper's five sets of pairs.
    """

    layout = LAYOUTS["sbu15"]
    fps = 15.0
    class_names = ("approach", "depart", "kick", "push", "shake hands", "hug", "exchange object", "punch")
    splits = {  # noqa: RUF012 - never changed
        f"fold{number}": {
            "train": {"setup": [pair for other in _FOLDS if other is not fold for pair in other]},
            "test": {"setup": list(fold)},
        }
        for number, fold in enumerate(_FOLDS, 1)
    }

    def files(self) -> list[Path]:
        return self._find("*/*/*/skeleton_pos.txt", _EXAMPLE)

    def read(self, file: Path) -> Iterator[RawClip]:
        name = "_".join(file.parts[-4:-1])
        actor, other, action, repetition = match_name(name, _NAME, file, _EXAMPLE)
        if not 1 <= action <= len(self.class_names):
            raise UserError(f"{file}: class {action} is unknown; there are 1 to {len(self.class_names)}")
        try:
            lines = file.read_text("ascii").split("\n")
            rows = [line.rstrip().rstrip(",").split(",") for line in lines if line.strip()]
            numbers = np.array(rows, np.float64).reshape(len(rows), -1)
        except (OSError, ValueError) as error:
            raise UserError(f"{file}: is damaged: no rows of comma-separated numbers, all of one length") from error
        if numbers.shape[1] != 91:
            raise UserError(f"{file}: rows have {numbers.shape[1]} numbers; expected 91, a frame number and 2 x 15 x 3")
        joints = numbers[:, 1:].reshape(len(rows), 2, 15, 3).swapaxes(0, 1)
        yield RawClip(
            name,
            (joints * _SCALE + _SHIFT).astype(np.float32),
            action - 1,
            subject=actor,
            setup=100 * actor + other,
            replication=repetition,
        )
