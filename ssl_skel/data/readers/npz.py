"""A user's own arrays: one or more ``.npz`` files.

Members of a file, N clips::

    joints       (N, T, V, C) or (N, M, T, V, C), padded with NaN or zeros; or flat (F, V, C), clips one after the
                 other, and the persons of a clip likewise; C is 2 or 3; NaN where a joint was not tracked
    frames       (N,) frames of each clip; needed if flat; else padding at the end is cut. A person all of whose
                 joints are zero was not seen in that frame
    offsets      (N + 1,) in place of frames, if flat: clip i is rows offsets[i] to offsets[i + 1] - 1
    persons      (N,) persons of each clip, if flat; default 1
    label        (N,) whole numbers from 0, -1 unknown; or names
    subject, camera, setup (or session), replication (or take), recording   (N,) whole numbers, -1 unknown; or names
    fps          frames a second, one number or (N,)
    name         (N,) unique names; default: the file's name and a number
    split        (N,) "train", "test" or "", which gives the split named ``given``; (N, K) gives ``given1`` and so on
    class_names one name per label

or, as motion capture is often kept::

    pos          (F, V, C) in place of ``joints``, flat
    root         (F, C) what ``pos`` counts from, if it does
    joints       (V,) names of the joints
    parents      (V,) number of each joint's parent, -1 at the root
    action (N,) names of classes; takes precedence over ``label``
    up, units    as in ``Description``; default there

Joints with names and parents make a layout (see ``rig``), or are mapped by name to the one requested. Other members
are left alone, unless ``columns`` names them; one that looks like a misspelling is refused.

What arrays do not say is in a YAML file of the same name beside them (``mine.yaml`` beside ``mine.npz``), or in
``recordings.yaml`` there, or on the command line; see ``NpzDescription``. Its ``names`` and ``labels`` go by the clips'
names, and fill in the members that are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.config import Section
from ssl_skel.data.clip import BadClip, RawClip, attempt, tracked_joints
from ssl_skel.data.dropped import without_zeros
from ssl_skel.data.npz_members import DAMAGE, read_blocks
from ssl_skel.data.readers.base import Reader, odd_even
from ssl_skel.data.readers.description import (
    VALUES,
    class_number,
    find_description,
    given_split,
    name_classes,
    number_values,
    read_description,
    to_metres,
    value_names,
)
from ssl_skel.data.readers.npz_contents import Contents, NpzDescription, read_contents
from ssl_skel.data.readers.plane import in_heights
from ssl_skel.errors import UserError
from ssl_skel.layouts import LayoutLike


class NpzReader(Reader):
    """Reads ``.npz`` files of the form above; a file, or a folder of files that agree in layout and classes.

    Splits: those of the YAML file, ``given`` from the member ``split``, and ``xsub`` (odd subjects train, even ones
    test) where subjects are known.
    """

    Options = NpzDescription
    archive = True
    endings = (".npz",)

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        self.source = Path(source)
        self.options = options or self.Options()
        self._layout = layout
        contents: dict[Path, Contents] = {}
        problem: UserError | None = None
        for file in self.files():
            try:
                contents[file] = read_contents(file, layout, self.options)
            except UserError as error:  # reported by read later
                problem = problem or error
        if not contents and problem:
            raise problem
        first = next(iter(contents.values()))
        for file, content in contents.items():
            if content.layout != first.layout:
                raise UserError(f"{file}: layout {content.layout.name!r} differs from the others'; convert separately")
        self.layout = first.layout
        self.class_names = _class_names(contents)
        self._numbers = {column: _numbered(contents.values(), column) for column in VALUES}
        self.value_names = value_names(self._numbers)
        self.splits = self._splits(contents)

    def files(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        return self._find("*.npz", "recordings.npz")

    @classmethod
    def told(cls, source: Path, words: Any) -> list[Any]:
        files = [source] if source.is_file() else sorted(source.glob("*.npz"))
        return [read_description(NpzDescription, find_description(file), words) for file in files]

    def read(self, file: Path) -> Iterator[RawClip | BadClip]:
        content = read_contents(file, self._layout, self.options)
        columns = {column: self._column(content, column) for column in VALUES}
        for row, block in enumerate(_blocks(file, content)):
            known = {column: int(values[row]) for column, values in columns.items()}
            yield attempt(str(content.names[row]), partial(self._clip, file, content, row, block, known))

    def _clip(self, file: Path, content: Contents, row: int, joints: np.ndarray, known: dict[str, int]) -> RawClip:
        """A clip from its part of the coordinates: (M * T, V, C) if flat, else (1, T, V, C) or (1, M, T, V, C)."""
        name = str(content.names[row])
        where = f"{file}: clip {name!r}"
        frames = content.value("frames", row)
        if content.flat:
            joints = joints.reshape(content.value("persons", row, 1), frames, *content.shape[1:])
        elif len(content.shape) == 5:
            joints = joints[0]
        if "frames" in content.columns:
            if not 0 <= frames <= joints.shape[1]:
                raise UserError(
                    f"{where}: frames: is {frames}; must lie between 0 and the {joints.shape[1]} that joints hold"
                )
            joints = joints[:, :frames]
        joints, dropped = without_zeros(joints)
        if "frames" not in content.columns:
            joints = joints[:, : _length(joints)]
        if content.take:
            joints = content.take(joints.astype(np.float32))
        label = self._label(content, row, where)
        joints, noticed = in_heights(joints, content.description, file)
        joints, fps = to_metres(joints, content.description, file), content.description.fps or float(content.fps[row])
        return RawClip(name, joints, label, **known, dropped=dropped | noticed, fps=fps)

    def _label(self, content: Contents, row: int, where: str) -> int:
        """Number of the class that a clip's label names, or is."""
        if content.labels is not None:
            return class_number(content.labels[row], {name: n for n, name in enumerate(self.class_names)}, where)
        label = content.value("label", row)
        first = int(self.class_names[0]) if self.class_names and not _given(content) else 0
        if label == -1 or first <= label < first + len(self.class_names):
            return label if label == -1 else label - first
        last = first + len(self.class_names) - 1
        raise UserError(f"{where}: label: is {label}; must lie between -1 (unknown) and {last}, the last class")

    def _column(self, content: Contents, column: str) -> np.ndarray:
        """(N,) numbers of subjects and the like, whatever they are called."""
        values = content.column(column)
        if values.dtype.kind != "U":
            return values
        return np.array([self._numbers[column][value] for value in values.tolist()], np.int64)

    def _splits(self, contents: dict[Path, Contents]) -> dict[str, dict[str, Any]]:
        """Splits of all files together."""
        splits: dict[str, dict[str, Any]] = {}
        subjects = odd_even(
            int(subject) for content in contents.values() for subject in self._column(content, "subject")
        )
        if subjects["train"]["subject"] and subjects["test"]["subject"]:
            splits["xsub"] = subjects
        sides: dict[str, list[tuple[str, str]]] = {}
        for content in contents.values():
            splits |= content.description.splits
            sides_of = content.columns.get("split", np.zeros((content.clips, 0), "U1"))
            for number, column in enumerate(sides_of.reshape(content.clips, -1).T, 1):
                name = "given" if sides_of.ndim == 1 else f"given{number}"
                sides.setdefault(name, []).extend(zip(column.tolist(), content.names.tolist(), strict=True))
        return splits | {name: split for name, sides_of in sides.items() for split in given_split(sides_of).values()}


def _blocks(file: Path, content: Contents) -> Iterator[np.ndarray]:
    """Coordinates of each clip in turn, unchanged, with their root; never all at once.

    Raises:
        UserError: the file is damaged from a clip on.
    """
    counts = content.column("persons", 1) * content.column("frames") if content.flat else np.ones(content.clips, int)
    blocks = read_blocks(file, content.coordinates, counts)
    roots = read_blocks(file, "root", counts) if content.rooted else None
    for row in range(content.clips):
        try:
            joints = next(blocks)
            if roots is not None:
                joints = joints.astype(np.float32) + next(roots)[:, None].astype(np.float32)
        except DAMAGE as error:
            raise UserError(f"{file}: {content.coordinates}: is truncated or damaged from clip {row} on") from error
        yield joints


def _length(joints: np.ndarray) -> int:
    """Frames up to the last with a tracked joint; all of them if there is none. Joints (M, T, V, C)."""
    frames = np.flatnonzero(tracked_joints(joints).any((0, 2)))
    return int(frames[-1]) + 1 if frames.size else joints.shape[1]


def _numbered(contents: Iterable[Contents], column: str) -> dict[str, int]:
    """Text of a column -> its number; see ``number_values``."""
    columns = [content.column(column) for content in contents]
    return number_values(str(value) for values in columns if values.dtype.kind == "U" for value in values)


def _class_names(contents: dict[Path, Contents]) -> tuple[str, ...]:
    """Names of the classes, the same for all files; numbers where none are given."""
    given = {_given(content) for content in contents.values()}
    if len(given) > 1:
        raise UserError(f"{next(iter(contents))}: class_names: differ between the files; make them the same")
    found = (
        content.labels or (str(label) for label in content.column("label") if label >= -1)  # lower ones are damage
        for content in contents.values()
    )
    return name_classes((label for labels in found for label in labels), given.pop())


def _given(content: Contents) -> tuple[str, ...]:
    return content.description.class_names or tuple(map(str, content.columns.get("class_names", ())))
