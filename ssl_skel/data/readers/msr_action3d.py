"""MSR-Action3D (Li, Zhang & Liu, CVPR Workshops 2010)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.base import Reader, match_name, odd_even
from ssl_skel.data.readers.text_table import read_table, unseen
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

_NAME = re.compile(r"a(\d+)_s(\d+)_e(\d+)_skeleton(?:3D)?")
_EXAMPLE = "a01_s01_e01_skeleton3D.txt"
_ORDER = [LAYOUTS["msr20"].joints.index(joint) for joint in LAYOUTS["kinect20"].joints]
_SUBSETS = {  # Table 1; actions counted from 1
    "as1": (2, 3, 5, 6, 10, 13, 18, 20),
    "as2": (1, 4, 7, 8, 9, 11, 12, 14),
    "as3": (6, 14, 15, 16, 17, 18, 19, 20),
}
_FAR = 10.0  # metres to a side; a Kinect sees 3
_XSUB = odd_even(range(1, 11))


class MsrAction3DReader(Reader):
    """Text files ``aAA_sSS_eEE_skeleton3D.txt`` (or ``…_skeleton.txt``): action, subject, try; 20 classes, 10 subjects.

    A row is a joint, ``x y z confidence``, 20 rows per frame; metres, y up. Zeros are joints that were not tracked.
    Files of the same recordings in screen coordinates are refused.
    Joints are put in the order of ``kinect20``, so that what was learnt on other Kinect v1 data fits.

    Splits: ``xsub`` (odd subjects against even), and the same within the paper's subsets of eight actions, ``as1``,
    ``as2``, ``as3``.
    """

    layout = LAYOUTS["kinect20"]
    fps = 15.0
    class_names = (
        *("high arm wave", "horizontal arm wave", "hammer", "hand catch", "forward punch", "high throw", "draw x"),
        *("draw tick", "draw circle", "hand clap", "two hand wave", "side boxing", "bend", "forward kick", "side kick"),
        *("jogging", "tennis swing", "tennis serve", "golf swing", "pick up and throw"),
    )
    splits: dict[str, dict[str, Any]] = {  # noqa: RUF012 - never changed
        "xsub": _XSUB,
        **{
            name: {side: {**rule, "label": [action - 1 for action in actions]} for side, rule in _XSUB.items()}
            for name, actions in _SUBSETS.items()
        },
    }

    def files(self) -> list[Path]:
        return self._find("*_skeleton*.txt", _EXAMPLE)

    def read(self, file: Path) -> Iterator[RawClip]:
        action, subject, number = match_name(file.stem, _NAME, file, _EXAMPLE)
        if not 1 <= action <= len(self.class_names):
            raise UserError(f"{file}: action {action} is unknown; there are 1 to {len(self.class_names)}")
        rows = read_table(file, 4, "x y z confidence")
        if len(rows) % 20:
            raise UserError(f"{file}: has {len(rows)} rows, not a multiple of 20 joints; download it again")
        if np.median(np.nan_to_num(np.abs(rows[:, :2]))) > _FAR:
            raise UserError(f"{file}: holds screen coordinates (pixels), not metres; use those of world coordinates")
        joints = unseen(rows.reshape(-1, 20, 4)[:, _ORDER, :3])
        name = file.stem.partition("_skeleton")[0]
        yield RawClip(name, joints[None], action - 1, subject=subject, replication=number)
