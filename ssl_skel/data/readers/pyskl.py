"""PYSKL's and MMAction2's annotations: one ``.pkl`` with all clips of a data set, 3D or 2D."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from ssl_skel.config import Section
from ssl_skel.data.clip import BadClip, RawClip, attempt
from ssl_skel.data.dropped import without_zeros
from ssl_skel.data.readers.base import Reader
from ssl_skel.data.readers.estimators import TrackedOptions
from ssl_skel.data.readers.ntu_facts import CLASS_NAMES, NAME, columns
from ssl_skel.data.readers.plain_pickle import LateArray, load_plain
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, LayoutLike, load_layout

_LAYOUTS = {(25, 3): "ntu25", (17, 2): "coco17"}
_SIDE = re.compile(r"(?P<name>.+?)_?(?P<side>train|val|test)(?P<number>\d*)")


class PysklOptions(TrackedOptions):
    """Options of PYSKL's annotations."""

    min_score: float = Field(default=0.0, ge=0.0, le=1.0)
    """2D: a joint whose score is lower counts as not tracked."""

    score: Literal["drop", "keep"] = "drop"
    """keep: 2D: a joint's score is its third channel, 0 where it was not tracked."""


class PysklReader(Reader):
    """A dict of ``split`` {name: [frame_dir]} and ``annotations`` [{frame_dir, label, keypoint (M, T, V, C), …}].

    MMAction2 before 1.0 wrote the list of annotations alone, which is read too and has no split.

    Nothing in the file is run (see ``plain_pickle``). 25 joints of three coordinates are NTU's, 17 of two COCO's; other
    layouts are given. Names like NTU's give subject, camera, setup and replication. Frames in which a person is all
    zeros are those in which they were not seen.

    2D: pixels become image heights about the middle of the image, turned by half a turn (never mirrored), so that up is
    up and someone who faces the camera has the left side at smaller x, as in all other data here.

    Memory holds the clips' metadata; their arrays stay in the file until they are needed.

    Splits: the file's, where ``…_train`` meets ``…_val`` or ``…_test``.
    """

    archive = True
    Options = PysklOptions
    endings = (".pkl",)

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        self.source = Path(source)
        self.options = options or self.Options()
        (file,) = self.files()
        data = load_plain(file, late=True)
        if isinstance(data, list):
            data = {"annotations": data}
        if not isinstance(data, dict) or not isinstance(data.get("annotations"), list) or not data["annotations"]:
            raise UserError(
                f"{file}: annotations: missing or empty; expected a dict of split and annotations, or a list of these"
            )
        self._clips: list[Any] = data["annotations"]
        keypoints = _first_keypoints(file, self._clips)
        known = _LAYOUTS.get(keypoints.shape[2:])
        if layout is None and known is None:
            raise UserError(f"{file}: keypoint: has {keypoints.shape[2:]} joints and coordinates; give --layout")
        self.layout = load_layout(layout) if layout is not None else LAYOUTS[str(known)]
        if self.options.score == "keep":
            if keypoints.shape[3] != 2:
                raise UserError(
                    f"{file}: score: the keypoints have {keypoints.shape[3]} coordinates; only 2D has scores"
                )
            self.layout = self.layout.with_score()
        labels = [clip.get("label") for clip in self._clips if isinstance(clip, Mapping)]
        count = 1 + max((label for label in labels if type(label) is int and label < 10**6), default=-1)
        ntu = self.layout.name == "ntu25" and count in (60, 120)
        self.class_names = CLASS_NAMES[:count] if ntu else tuple(map(str, range(count)))
        self.splits = _splits(file, data.get("split", {}))

    def files(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        files = self._find("*.pkl", "ntu60_3danno.pkl")
        if len(files) > 1:
            raise UserError(f"{self.source}: holds {len(files)} .pkl files; give one of them, such as {files[0].name}")
        return files

    def read(self, file: Path) -> Iterator[RawClip | BadClip]:
        for row, clip in enumerate(self._clips):
            name = clip.get("frame_dir") if isinstance(clip, Mapping) else None
            where = name if isinstance(name, str) and name else f"annotations[{row}]"
            yield attempt(where, partial(self._clip, file, row, clip))

    def _clip(self, file: Path, row: int, clip: Any) -> RawClip:
        keypoints = _keypoints(file, row, clip)
        name, label = clip.get("frame_dir"), clip.get("label", -1)
        if not isinstance(name, str) or not name:
            raise UserError(f"{file}: annotations[{row}].frame_dir: is {str(name)[:40]!r}; expected a name")
        if type(label) is not int or not -1 <= label < len(self.class_names):
            raise UserError(f"{file}: annotations[{row}].label: is {str(label)[:40]!r}; expected a class number")
        joints, dropped = without_zeros(keypoints.astype(np.float32))
        if joints.shape[3] == 2:
            joints = self._upright(file, row, clip, joints, keypoints.shape[:3])
        parts = columns(name) if NAME.fullmatch(name) else {}
        return RawClip(name, joints, **(parts | {"label": label}), dropped=dropped)

    def _upright(
        self, file: Path, row: int, clip: Mapping[str, Any], joints: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        """Pixels (M, T, V, 2) to image heights, x and y turned by half a turn; doubtful joints NaN; scores if
        requested.

        Args:
            file, row, clip: where they are.
            joints: of the first T frames.
            shape: of the scores in the file.
        """
        score = _array(clip, "keypoint_score")
        if score is None and self.layout.score:
            raise UserError(f"{file}: annotations[{row}].keypoint_score: missing; convert with score=drop")
        if score is not None:
            if not isinstance(score, np.ndarray) or score.shape != shape or score.dtype.kind != "f":
                raise UserError(
                    f"{file}: annotations[{row}].keypoint_score: does not fit keypoint; make the file again"
                )
            score = score[:, : joints.shape[1]]
            joints[score < self.options.min_score] = np.nan
        size = clip.get("img_shape")
        if not isinstance(size, tuple | list) or len(size) != 2 or not all(type(n) is int and n > 0 for n in size):
            raise UserError(f"{file}: annotations[{row}].img_shape: is {str(size)[:40]}; expected (height, width)")
        height, width = size
        upright = (np.array([width / 2, height / 2], np.float32) - joints) / np.float32(height)
        if score is None or not self.layout.score:
            return upright
        tracked = np.isfinite(joints).all(-1, keepdims=True)
        return np.concatenate([upright, np.where(tracked, score.astype(np.float32)[..., None], np.nan)], -1)


def _array(clip: Mapping[str, Any], name: str) -> Any:
    """An array of a clip, or what is in its place; True, which is not an array, if it is damaged."""
    value = clip.get(name)
    try:
        return value.load() if isinstance(value, LateArray) else value
    except (OSError, ValueError):
        return True


def _keypoints(file: Path, row: int, clip: Any) -> np.ndarray:
    keypoints = _array(clip, "keypoint") if isinstance(clip, Mapping) else None
    if not isinstance(keypoints, np.ndarray) or keypoints.ndim != 4 or keypoints.dtype.kind != "f":
        raise UserError(
            f"{file}: annotations[{row}].keypoint: is not an array (persons, frames, joints, coordinates) of floats; "
            "make the file again"
        )
    return keypoints


def _first_keypoints(file: Path, clips: Sequence[Any]) -> np.ndarray:
    """Keypoints of the first clip that has any; they determine the layout.

    Raises:
        UserError: none has; says what is wrong with the first.
    """
    problem: UserError | None = None
    for row, clip in enumerate(clips):
        try:
            return _keypoints(file, row, clip)
        except UserError as error:
            problem = problem or error
    assert problem is not None  # there are clips
    raise problem


def _splits(file: Path, given: Any) -> dict[str, dict[str, Any]]:
    """Pairs of the file's lists: xsub_train and xsub_val to xsub, train1 and test1 to given1."""
    if not isinstance(given, dict) or not all(
        isinstance(name, str) and isinstance(clips, list) and all(isinstance(clip, str) for clip in clips)
        for name, clips in given.items()
    ):
        raise UserError(f"{file}: split: is not a dict of lists of names; make the file again")
    sides: dict[str, dict[str, Any]] = {}
    for name, clips in given.items():
        match = _SIDE.fullmatch(name if "_" in name else f"given_{name}")
        if match:
            side = "train" if match["side"] == "train" else "test"
            sides.setdefault(match["name"] + match["number"], {}).setdefault(side, {"name": clips})
    return {name: both for name, both in sides.items() if len(both) == 2 and name != "all"}
