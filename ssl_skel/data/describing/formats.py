"""Which open format a folder holds, and which layout and columns its files have."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ssl_skel.data.npz_members import DAMAGE, member_names, read_shape
from ssl_skel.data.readers import READERS
from ssl_skel.data.readers.base import natural
from ssl_skel.data.readers.columns import TableForm, column_names, is_text, open_text, read_columns
from ssl_skel.data.readers.described import DescribedReader
from ssl_skel.data.readers.npz import NpzReader
from ssl_skel.data.readers.table import Name
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

_ENDINGS: dict[str, tuple[str, ...]] = {"openpose": ("_keypoints.json",), "npz": NpzReader.endings} | {
    format: kind.suffixes for format, kind in READERS.items() if issubclass(kind, DescribedReader) and kind.suffixes
}
"""Format -> endings of its files; the first that fits a file counts."""
_BESIDE = ("table", "text")  # lists of labels and notes next to other recordings have these endings too
DESCRIBED = tuple(_ENDINGS)
"""Formats that a description goes with."""
_SAME = {
    "clip": ("clip", "video", "sequence", "file", "clip_id", "video_id", "sequence_id", "filename"),
    "person": ("person", "person_id", "body", "body_id", "track", "track_id"),
    "frame": ("frame", "frame_id", "frame_number"),
    "time": ("time", "timestamp", "t", "seconds"),
    "joint": ("joint", "joint_id", "keypoint", "landmark", "marker", "joint_name"),
    "x": ("x", "pos_x", "x_m", "position_x"),
    "y": ("y", "pos_y", "y_m", "position_y"),
    "z": ("z", "pos_z", "z_m", "position_z"),
    "label": ("label", "action", "class", "activity", "gesture"),
    "subject": ("subject", "subject_id", "actor", "participant"),
}
"""What a table's columns are often called."""


def guess_format(source: Path) -> str:
    """The described format that most files of a folder, or a file, have.

    Raises:
        UserError: there is none.
    """
    files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
    found = Counter(format for file in files if (format := _format_of(file.name)))
    others = {format: count for format, count in found.items() if format not in _BESIDE}
    if not found:
        endings = ", ".join(itertools.chain(*_ENDINGS.values()))
        raise UserError(f"{source}: holds no files that end in {endings}; other formats need no description")
    return max(others or found, key=lambda format: found[format])


def files_of(source: Path, format: str) -> list[Path]:
    """Recordings of a format in a folder, or the file itself; folders of them for OpenPose, one per recording."""
    if source.is_file():
        return [source]
    there = (path for path in source.rglob("*") if _format_of(path.name) == format and path.is_file())
    files = [path for path in there if not any(part.startswith(".") for part in path.relative_to(source).parts)]
    return sorted({path.parent for path in files} if format == "openpose" else files, key=natural)


def _format_of(name: str) -> str:
    return next((format for format, endings in _ENDINGS.items() if name.lower().endswith(endings)), "")


def label_lists(folder: Path) -> list[str]:
    """CSV files straight in a folder that have a column ``file``."""
    found = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            if "file" in next(csv.reader(stream), []):
                found.append(path.name)
    return found


def layouts_of(joints: int, names: Iterable[str] = ()) -> list[str]:
    """Built-in layouts with these joints: those whose names fit, else those with as many."""
    wanted = set(names)
    named = [name for name, layout in LAYOUTS.items() if wanted and wanted == set(layout.joints)]
    return named or [name for name, layout in LAYOUTS.items() if layout.num_joints == joints]


def array_joints(file: Path) -> int:
    """Joints of an ``.npy`` or ``.npz`` file; 0 where it names them itself, or cannot be read."""
    try:
        if file.suffix == ".npy":
            shape: tuple[int, ...] = np.lib.format.open_memmap(file, mode="r").shape
        elif {"pos", "parents"} & set(member_names(file)):
            return 0
        else:
            shape = read_shape(file, "joints")[0]
    except (*DAMAGE, KeyError):
        return 0
    return int(shape[-2]) if len(shape) > 2 else 0


def table_settings(file: Path) -> tuple[dict[str, Any], list[str]]:
    """``delimiter``, ``columns`` and ``joint_columns`` of a table, as far as they are not the defaults; and its joints.

    Raises:
        UserError: the file cannot be read.
    """
    form = TableForm(_delimiter(file))
    there = column_names(file, form)
    settings: dict[str, Any] = {} if form == TableForm() else {"delimiter": form.delimiter}
    lower = {name.lower(): name for name in reversed(there)}
    columns: dict[str, str] = {}
    for ours in _column_words():
        own = next((lower[word] for word in _SAME.get(ours, (ours,)) if word in lower), None)
        if own is not None and (own != ours or ours == "time"):  # which has no default
            columns[ours] = own
    pattern, joints = _wide(there)
    if pattern:
        settings["joint_columns"] = pattern
        columns = {ours: own for ours, own in columns.items() if ours not in ("joint", "x", "y", "z")}
    else:
        joints = _long_joints(file, columns.get("joint", "joint"), there, form)
    return settings | ({"columns": columns} if columns else {}), joints


def _column_words() -> list[str]:
    """Everything that a table's columns may contain."""
    return [word for one in get_args(Name) for word in (get_args(one) or (one,))]


def _delimiter(file: Path) -> str:
    if not is_text(file):
        return ","
    try:
        with open_text(file) as stream:
            head = stream.readline()
    except (OSError, ValueError, EOFError):  # the code that reads its columns reports what is wrong
        return ","
    return max(",;\t", key=head.count)


def _wide(there: Sequence[str]) -> tuple[str, list[str]]:
    """Form of the columns where a row holds all joints, and the joints; "" where it holds one."""
    for form, pattern in (
        ("{joint}_{axis}", r"(?P<joint>.+)_(?P<axis>[xyz])"),
        ("{axis}_{joint}", r"(?P<axis>[xyz])_(?P<joint>.+)"),
        ("{joint}.{axis}", r"(?P<joint>.+)\.(?P<axis>[xyz])"),
        ("{axis}{joint}", r"(?P<axis>[xyz])(?P<joint>[0-9]+)"),
    ):
        axes: Mapping[str, list[str]] = {"x": [], "y": [], "z": []}
        for match in filter(None, (re.fullmatch(pattern, name) for name in there)):
            axes[match["axis"]].append(match["joint"])
        if len(axes["x"]) > 1 and set(axes["x"]) == set(axes["y"]):
            return form, axes["x"]
    return "", []


def _long_joints(file: Path, column: str, there: Sequence[str], form: TableForm) -> list[str]:
    """Names of the joints in the first rows of a table with one joint a row."""
    if column not in there:
        return []
    for batch in read_columns(file, [column], [], form):
        return list(dict.fromkeys(batch[column].tolist()))
    return []
