"""NW-UCLA: Northwestern-UCLA Multiview Action3D (Wang et al., CVPR 2014)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.base import Reader, match_name, odd_even
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

_NAME = re.compile(r"a(\d+)_s(\d+)_e(\d+)_v(\d+)")
_EXAMPLE = "a01_s01_e00_v01.json"
_ACTIONS = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12)


class NwUclaReader(Reader):
    """JSON files ``aAA_sSS_eEE_vVV.json``: action, subject, execution, view; 10 classes, 10 subjects, 3 views.

    Action numbers 1-6, 8, 9, 11, 12 become labels 0-9; the key ``label`` inside counts the classes from 1 and must
    agree. Coordinates are a Kinect v1's, unchanged.

    Splits: ``xview`` (views 1, 2 against 3, as in the paper; 95 of the test clips are copies of training clips, so
    look at ``xview_dedup`` too) and ``xsub`` (odd subjects against even).
    """

    layout = LAYOUTS["kinect20"]
    class_names = (
        "pick up with one hand",
        "pick up with two hands",
        "drop trash",
        "walk around",
        "sit down",
        "stand up",
        "donning",
        "doffing",
        "throw",
        "carry",
    )
    splits = {  # noqa: RUF012 - never changed
        "xview": {"train": {"camera": [1, 2]}, "test": {"camera": [3]}},
        "xsub": odd_even(range(1, 11)),
    }
    endings = (".json",)

    def files(self) -> list[Path]:
        return self._find("*.json", _EXAMPLE)

    def read(self, file: Path) -> Iterator[RawClip]:
        action, subject, execution, view = match_name(file.stem, _NAME, file, _EXAMPLE)
        try:
            data = json.loads(file.read_bytes())
            joints = np.array(data["skeletons"], np.float32)
            label = int(data["label"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise UserError(f"{file}: is damaged: not JSON with label and skeletons (frames, 20, 3)") from error
        if action not in _ACTIONS:
            raise UserError(f"{file}: action {action} is unknown; there are {', '.join(map(str, _ACTIONS))}")
        if label not in (action, _ACTIONS.index(action) + 1):
            raise UserError(f"{file}: label: is {label}, which is not the action {action} of the name")
        yield RawClip(
            file.stem, joints[None], _ACTIONS.index(action), subject=subject, camera=view, replication=execution
        )
