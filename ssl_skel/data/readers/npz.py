"""A user's own arrays: one or more ``.npz`` files.

Members of a file, N clips::

    joints       (N, T, V, C) or (N, M, T, V, C), padded; or flat (F, V, C), the persons of a clip one after the
                 other; C is 2 or 3; NaN where a joint was not tracked
    frames       (N,) frames of each clip; needed if flat; else padding with NaN at the end is cut
    persons      (N,) persons of each clip, if flat; default 1
    label, subject, camera, setup, replication   (N,) whole numbers, labels from 0, -1 unknown
    name         (N,) unique names; default: the file's name and a number
    split        (N,) "train", "test" or "", which gives the split named ``given``
    class_names  one name a label

Only ``joints`` must be there. What arrays do not say stands in a YAML file of the same name beside them (``mine.yaml``
beside ``mine.npz``), or in ``recordings.yaml`` there, or on the command line; see ``Description``. Its ``names`` and
``labels`` go by the clips' names, and fill in the members that are missing.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from ssl_skel.config import Section
from ssl_skel.data.clip import BadClip, RawClip, attempt, tracked_joints
from ssl_skel.data.readers.base import Reader, odd_even
from ssl_skel.data.readers.description import (
    Description,
    class_number,
    describe_clip,
    find_description,
    find_layout,
    given_split,
    name_classes,
    read_description,
    read_labels,
    to_metres,
    whole_number,
)
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout, load_layout
from ssl_skel.names import unknown

_NUMBERS = ("frames", "persons", "label", "subject", "camera", "setup", "replication")
_OF_CLIP = ("subject", "camera", "setup", "replication")
_MEMBERS = ("joints", *_NUMBERS, "name", "split", "class_names")
DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, MemoryError),
    *(tokenize.TokenError, SyntaxError),  # NumPy parses an odd header as Python
)
"""What reading a damaged ``.npz`` can raise."""


@dataclass(frozen=True)
class _Contents:
    """One file without its joints."""

    layout: SkeletonLayout
    description: Description
    shape: tuple[int, ...]
    columns: dict[str, np.ndarray]
    names: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None  # as text, where names or a table say them; else they are the column

    def column(self, name: str, default: int = -1) -> np.ndarray:
        """(N,) values of a column, or the default."""
        numbers: np.ndarray = self.columns.get(name, np.full(self.clips, default))
        return numbers

    def value(self, name: str, row: int, default: int = -1) -> int:
        """The value of one clip in a column, or the default."""
        return int(self.columns[name][row]) if name in self.columns else default

    @property
    def clips(self) -> int:
        """N."""
        return len(self.columns["frames"]) if len(self.shape) == 3 else self.shape[0]


class NpzReader(Reader):
    """Reads ``.npz`` files of the form told above; a file, or a folder of files that agree in layout and classes.

    Splits: those of the YAML file, ``given`` from the member ``split``, and ``xsub`` (odd subjects train, even ones
    test) where subjects are known.
    """

    Options = Description
    archive = True
    endings = (".npz",)

    def __init__(self, source: Path, layout: str | None = None, options: Section | None = None) -> None:
        self.source = Path(source)
        self.options = options or self.Options()
        self._layout = layout
        contents: dict[Path, _Contents] = {}
        problem: UserError | None = None
        for file in self.files():
            try:
                contents[file] = self._contents(file)
            except UserError as error:  # told by read, in its turn
                problem = problem or error
        if not contents and problem:
            raise problem
        first = next(iter(contents.values()))
        for file, content in contents.items():
            if content.layout != first.layout:
                raise UserError(f"{file}: layout {content.layout.name!r} differs from the other files'; convert apart")
        self.layout = first.layout
        self.class_names = _class_names(contents)
        self.splits = _splits(contents)

    def files(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        return self._find("*.npz", "recordings.npz")

    def read(self, file: Path) -> Iterator[RawClip | BadClip]:
        content = self._contents(file)
        flat = len(content.shape) == 3
        counts = content.column("persons", 1) * content.column("frames") if flat else np.ones(content.clips, int)
        blocks = read_blocks(file, "joints", counts)
        for row in range(content.clips):
            try:
                block = next(blocks)
            except DAMAGE as error:
                raise UserError(f"{file}: joints: is truncated or damaged from clip {row} on") from error
            yield attempt(content.names[row], partial(self._clip, file, content, row, block))

    def _clip(self, file: Path, content: _Contents, row: int, joints: np.ndarray) -> RawClip:
        """A clip from its part of ``joints``: (M * T, V, C) if flat, else (1, T, V, C) or (1, M, T, V, C)."""
        where = f"{file}: clip {content.names[row]!r}"
        frames = content.value("frames", row)
        if len(content.shape) == 3:
            joints = joints.reshape(content.value("persons", row, 1), frames, *content.shape[1:])
        elif len(content.shape) == 5:
            joints = joints[0]
        if "frames" not in content.columns:
            frames = _length(joints)
        if not 0 <= frames <= joints.shape[1]:
            raise UserError(
                f"{where}: frames: is {frames}; must lie between 0 and the {joints.shape[1]} that joints hold"
            )
        known = {column: content.value(column, row) for column in ("label", *_OF_CLIP)}
        if content.labels is not None:
            numbers = {name: number for number, name in enumerate(self.class_names)}
            known["label"] = class_number(content.labels[row], numbers, where)
        if not -1 <= known["label"] < len(self.class_names):
            last = len(self.class_names) - 1
            raise UserError(
                f"{where}: label: is {known['label']}; must lie between -1 (unknown) and {last}, the last class"
            )
        return RawClip(content.names[row], to_metres(joints[:, :frames], content.description, file), **known)

    def _contents(self, file: Path) -> _Contents:
        """Read all but the joints, and check that it fits together."""
        beside = find_description(file)
        description = read_description(Description, beside, self.options)
        layout = load_layout(self._layout) if self._layout else find_layout(description, beside, file)
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
                columns = {name: data[name] for name in data.files if name != "joints"}
            shape, dtype, whole = read_shape(file, "joints")
        except DAMAGE as error:
            raise UserError(f"{file}: is damaged, or no .npz of plain arrays with a member 'joints'") from error
        if not whole:
            raise UserError(f"{file}: joints: is truncated; make the file again")
        if len(shape) not in (3, 4, 5) or shape[-2] != layout.num_joints or shape[-1] not in (2, 3):
            raise UserError(
                f"{file}: joints: has shape {shape}; expected (N, T, V, C), (N, M, T, V, C) or flat (F, V, C) "
                f"with V = {layout.num_joints} joints of {layout.name} and C = 2 or 3"
            )
        if dtype.kind not in "fiu":
            raise UserError(f"{file}: joints: holds {dtype}; expected numbers")
        if len(shape) == 3 and "frames" not in columns:
            raise UserError(f"{file}: frames: missing; flat joints (F, V, C) need the frames of each clip")
        if description.up == "z" and shape[-1] == 2:
            raise UserError(f"{beside}: up: z needs three coordinates; joints have two")
        content = _Contents(layout, description, shape, columns)
        _check_columns(file, content)
        return _described(file, beside, content)


def _described(file: Path, beside: Path, content: _Contents) -> _Contents:
    """The same with clips' names and labels, and with what the description says of each where the file does not."""
    description, columns = content.description, dict(content.columns)
    names = tuple(map(str, columns.get("name", [f"{file.stem}_{row:06d}" for row in range(content.clips)])))
    labels = None
    if description.names or description.labels:
        rows = read_labels(beside, description.labels) if description.labels else None
        told = [describe_clip(description, rows, name, file, {}) for name in names]
        for column in _OF_CLIP:
            if column not in columns:
                values = [whole_number(clip.get(column, ""), f"{file}: {column}") for clip in told]
                columns[column] = np.array(values, np.int64)
        if "label" not in columns:
            labels = tuple(clip.get("label", "") for clip in told)
        columns.setdefault("split", np.array([clip.get("split", "") for clip in told]))
    return replace(content, columns=columns, names=names, labels=labels)


def _check_columns(file: Path, content: _Contents) -> None:
    """Refuse unknown members, wrong lengths and kinds, and lengths that do not fit the joints."""
    for name, values in content.columns.items():
        if name not in _MEMBERS:
            raise unknown("member", name, _MEMBERS, where=file)
        kind, told = ("iu", "whole numbers") if name in _NUMBERS else ("U", "text")
        if values.ndim != 1 or values.dtype.kind not in kind:
            raise UserError(f"{file}: {name}: has shape {values.shape} of {values.dtype}; expected one row of {told}")
        if name != "class_names" and len(values) != content.clips:
            raise UserError(f"{file}: {name}: has {len(values)} values for {content.clips} clips")
    if not content.clips:
        raise UserError(f"{file}: joints: holds no clips")
    frames, persons = content.columns.get("frames"), content.column("persons", 1)
    if len(content.shape) == 3 and frames is not None and frames.min() < 0:
        raise UserError(f"{file}: frames: must be at least 0")
    if len(content.shape) > 3 and "persons" in content.columns:
        raise UserError(f"{file}: persons: only flat joints need it; leave it out")
    if persons.min() < 1:
        raise UserError(f"{file}: persons: must be at least 1")
    if len(content.shape) == 3 and (persons * content.column("frames")).sum() != content.shape[0]:
        raise UserError(f"{file}: frames: frames x persons do not add up to the {content.shape[0]} rows of joints")
    if not set(content.columns.get("split", ())) <= {"train", "test", ""}:
        raise UserError(f"{file}: split: holds other words than train and test")


def _class_names(contents: dict[Path, _Contents]) -> tuple[str, ...]:
    """Names of the classes, the same for all files; numbers where none are given."""
    given = {c.description.class_names or tuple(map(str, c.columns.get("class_names", ()))) for c in contents.values()}
    if len(given) > 1:
        raise UserError(f"{next(iter(contents))}: class_names: differ between the files; make them the same")
    found = (
        content.labels or (str(label) for label in content.column("label") if label >= -1)  # lower ones are damage
        for content in contents.values()
    )
    return name_classes((label for labels in found for label in labels), given.pop())


def _splits(contents: dict[Path, _Contents]) -> dict[str, dict[str, Any]]:
    """Splits of all files together."""
    splits: dict[str, dict[str, Any]] = {}
    subjects = odd_even(int(subject) for content in contents.values() for subject in content.column("subject"))
    if subjects["train"]["subject"] and subjects["test"]["subject"]:
        splits["xsub"] = subjects
    for content in contents.values():
        splits |= content.description.splits
    sides = (
        (str(side), name)
        for content in contents.values()
        for side, name in zip(content.columns.get("split", ()), content.names, strict=False)
    )
    return splits | given_split(sides)


def read_shape(file: Path, member: str) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Shape and dtype of a member, and whether the archive holds as many bytes as they need.

    Raises:
        DAMAGE: no such member, or no such file.
    """
    with zipfile.ZipFile(file) as archive, archive.open(f"{member}.npy") as stream:
        shape, _, dtype = _header(stream)
        return shape, dtype, archive.getinfo(f"{member}.npy").file_size >= math.prod(shape) * dtype.itemsize


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and dtype of an ``.npy`` stream, which is left at the first number."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def read_blocks(file: Path, member: str, counts: np.ndarray) -> Iterator[np.ndarray]:
    """Slices of a member along its first axis, without ever holding it whole.

    An array in Fortran order has to be read whole.
    """
    with zipfile.ZipFile(file) as archive, archive.open(f"{member}.npy") as stream:
        shape, fortran, dtype = _header(stream)
        if fortran:
            stream.seek(0)
            whole = np.lib.format.read_array(stream, allow_pickle=False)
            yield from np.split(whole, np.cumsum(counts)[:-1])
            return
        size = math.prod(shape[1:]) * dtype.itemsize
        for count in counts:
            data = stream.read(int(count) * size)
            yield np.frombuffer(data, dtype).reshape(count, *shape[1:])


def _length(joints: np.ndarray) -> int:
    """Frames up to the last with a tracked joint; all of them if there is none. Joints (M, T, V, C)."""
    frames = np.flatnonzero(tracked_joints(joints).any((0, 2)))
    return int(frames[-1]) + 1 if frames.size else joints.shape[1]
