"""UTD-MHAD (Chen, Jafari & Kehtarnavaz, ICIP 2015)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.base import Reader, match_name, odd_even
from ssl_skel.data.readers.matlab5 import read_variable
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

_NAME = re.compile(r"a(\d+)_s(\d+)_t(\d+)_skeleton")
_EXAMPLE = "a1_s1_t1_skeleton.mat"
# Published order (Skeleton_joint_order.txt): head, shoulder centre, spine, hip centre, then limbs as in kinect20.
_ORDER = [3, 2, 1, 0, *range(4, 20)]


class UtdMhadReader(Reader):
    """MATLAB files ``aA_sS_tT_skeleton.mat``: action, subject, trial; 27 classes, 8 subjects.

    ``d_skel`` is (20, 3, T) in a Kinect v1's frame, metres, y up.

    Split: ``xsub`` (odd subjects against even, as in the paper).
    """

    layout = LAYOUTS["kinect20"]
    fps = 30.0
    class_names = (
        "swipe left",
        "swipe right",
        "wave",
        "clap",
        "throw",
        "arm cross",
        "basketball shoot",
        "draw x",
        "draw circle clockwise",
        "draw circle counter-clockwise",
        "draw triangle",
        "bowling",
        "boxing",
        "baseball swing",
        "tennis swing",
        "arm curl",
        "tennis serve",
        "push",
        "knock",
        "catch",
        "pick up and throw",
        "jog",
        "walk",
        "sit to stand",
        "stand to sit",
        "lunge",
        "squat",
    )
    splits = {"xsub": odd_even(range(1, 9))}  # noqa: RUF012 - never changed
    endings = (".mat",)

    def files(self) -> list[Path]:
        return self._find("*.mat", _EXAMPLE)

    def read(self, file: Path) -> Iterator[RawClip]:
        action, subject, trial = match_name(file.stem, _NAME, file, _EXAMPLE)
        if not 1 <= action <= len(self.class_names):
            raise UserError(f"{file}: action {action} is unknown; there are 1 to {len(self.class_names)}")
        try:
            joints = read_variable(file.read_bytes(), "d_skel").astype(np.float32)
        except (OSError, ValueError, zlib.error) as error:
            raise UserError(f"{file}: is damaged: no MATLAB 5 file with a numeric d_skel ({error})") from error
        if joints.ndim == 2:  # MATLAB drops a last axis of one frame
            joints = joints[..., None]
        if joints.ndim != 3 or joints.shape[:2] != (20, 3):
            raise UserError(f"{file}: d_skel has shape {joints.shape}; expected (20, 3, frames)")
        yield RawClip(
            file.stem.removesuffix("_skeleton"),
            joints[_ORDER].transpose(2, 0, 1)[None],
            action - 1,
            subject=subject,
            replication=trial,
        )
