"""Tables: CSV or Parquet, one row per frame and joint, or one row per frame."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from pydantic import Field, field_validator

from ssl_skel.config import Section
from ssl_skel.data.clip import BadClip, RawClip, attempt
from ssl_skel.data.dropped import gaps
from ssl_skel.data.frame_rate import rate_of_times
from ssl_skel.data.readers.base import natural
from ssl_skel.data.readers.columns import ENDINGS, TableForm, column_names, first_row, is_text, read_columns
from ssl_skel.data.readers.described import DescribedReader, name_of
from ssl_skel.data.readers.description import NamedJoints, to_metres
from ssl_skel.data.readers.plane import ArrayDescription, in_heights
from ssl_skel.errors import UserError
from ssl_skel.layouts import LayoutLike
from ssl_skel.names import nearest

_MOST_PERSONS = 100
_DELIMITERS = {";": '";"', "\t": "'\"\\t\"'", "|": "'\"|\"'"}
"""What else separates columns -> how a shell and YAML are given it."""
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+(e[+-]?\d+)?\s*", re.I)
OfClip = Literal["label", "subject", "camera", "setup", "session", "replication", "take", "recording"]
Name = Literal["clip", "person", "frame", "time", "joint", "x", "y", "z", OfClip]
_OF_CLIP: tuple[Name, ...] = get_args(OfClip)


class TableDescription(NamedJoints, ArrayDescription):
    """``recordings.yaml`` in a folder of tables."""

    columns: dict[Name, str] = Field(default_factory=dict)
    """What is read -> the column that holds it; default: the column of its own name, if there is one. ``time`` is in
    seconds and read only if it is named here; it gives the frame rate, and the frames if nothing numbers them."""

    joint_columns: str = ""
    """Names of the coordinates' columns where a row holds all joints of a frame, as in '{joint}_{axis}' for
    left_hand_x, or '{axis}_{joint}' for x_0 where joints are numbered in the layout's order; default: a row holds one
    joint."""

    header: tuple[str, ...] = ()
    """Names of the columns of CSV files without a header line, in order, as in [frame, joint, x, y, z].
    '{joint}_{axis}' stands for those of all joints in the layout's order, as in [time, '{joint}_{axis}']."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """What separates the columns of a CSV file; ';' or a tab."""

    def lasting(self) -> dict[str, Any]:
        """The same without columns that describe a clip, which others need not have."""
        found = super().lasting()
        if "columns" in found:
            found["columns"] = {name: column for name, column in self.columns.items() if name not in _OF_CLIP}
        return found

    @field_validator("joint_columns")
    @classmethod
    def _check_joint_columns(cls, form: str) -> str:
        if form and (form.count("{joint}") != 1 or form.count("{axis}") != 1):
            raise ValueError("must hold {joint} and {axis} once each, as in '{joint}_{axis}'")
        return form


@dataclass(frozen=True)
class _Run:
    """Rows of one clip, and the number of the first; rows count from 1, after a CSV's header if it has one."""

    key: str
    first: int
    rows: dict[str, np.ndarray]


class TableReader(DescribedReader):
    """``.csv``, ``.csv.gz`` and ``.parquet`` files, described by ``recordings.yaml`` (see ``TableDescription``).

    A row has a frame or a time (any number; frames are those that occur, in order; gaps are closed, and counted), a
    joint (its name, or its number from 0) and x, y and perhaps z; or all joints of a frame, which then needs no number.
    ``clip`` divides a file into clips, whose rows follow one another; without it a file is one. ``person`` identifies
    persons, in the order in which they occur. Label, subject and so on are the same in all rows of a clip. Where a
    number is empty, or a row missing, the joint was not tracked.

    A file is read twice, first for its labels and subjects, in pieces: memory holds one clip, and the clips' names.
    """

    Options = TableDescription
    options: TableDescription
    pattern = "**/*.csv"
    example = "recordings.csv or .parquet"
    suffixes = ENDINGS
    endings = (".csv", ".parquet")

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        self._scattered: set[tuple[Path, str]] = set()  # clips whose rows are in several places
        super().__init__(source, layout, options)

    def files(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        found: list[Path] = []
        problem: UserError | None = None
        labels = self._beside.parent / self.options.labels
        for pattern in (self.pattern, "**/*.csv.gz", "**/*.parquet"):
            try:
                found += [file for file in self._find(pattern, self.example) if file != labels]
            except UserError as error:
                problem = problem or error
        if not found and problem:
            raise problem
        return sorted(found, key=natural)

    @property
    def _joint_columns(self) -> str:
        """Form of the coordinates' columns where a row holds all joints; else empty."""
        of_header = next((name for name in self.options.header if "{joint}" in name and "{axis}" in name), "")
        return self.options.joint_columns or of_header

    def _form(self, file: Path) -> TableForm:
        """How a file is written; in its header the columns of all joints are listed one by one."""
        plain, header = TableForm(self.options.delimiter), list(self.options.header)
        if not header or not is_text(file):
            return plain
        if self._joint_columns in header:
            at, cells, count = header.index(self._joint_columns), len(first_row(file, plain)), self.layout.num_joints
            axes, left = divmod(cells - len(header) + 1, count)
            if left or axes not in (2, 3):
                raise UserError(
                    f"{file}: header: line 1 has {cells} columns; besides {len(header) - 1} others there must be "
                    f"2 or 3 for each of the {count} joints of {self.layout.name}"
                )
            filled = _filled(self._joint_columns, self.layout.joints)
            header[at : at + 1] = [name for names in filled for name in names[:axes]]
        return TableForm(self.options.delimiter, tuple(header))

    def read(self, file: Path) -> Iterator[RawClip | BadClip]:
        coordinates = self._coordinates(file)
        places: list[Name] = ["person", "frame", *self._timed, *(() if self._joint_columns else ("joint",))]
        wanted = [*coordinates.ravel(), *self._present(file, places)]
        pieces: dict[str, int] = {}
        for run in self._runs(file, wanted):
            pieces[run.key] = pieces.get(run.key, 0) + 1
            if (file, run.key) in self._scattered and pieces[run.key] != 2:  # reported once, where it comes again
                continue
            name = name_of(run.key) or _row(file, run.first).removeprefix(f"{file}: ")
            yield attempt(name, partial(self._clip, file, run, coordinates))

    def _clip(self, file: Path, run: _Run, coordinates: np.ndarray) -> RawClip:
        if (file, run.key) in self._scattered:
            raise UserError(f"{_row(file, run.first)}: clip {run.key!r} has rows further up; sort the rows by clip")
        if not run.key:
            raise UserError(f"{_row(file, run.first)}, column {self._column('clip')!r}: is empty; name the clip")
        joints, missing = self._joints(file, run, coordinates)
        joints, noticed = in_heights(joints, self.options, file)
        joints = to_metres(joints, self.options, file)
        texts = self._texts(file, run.key, self._own(file, run))
        return RawClip(
            name_of(run.key), joints, **self._columns(file, texts), dropped=noticed | missing, fps=self._rate(run)
        )

    def _keys(self, file: Path) -> Iterator[tuple[str, dict[str, str]]]:
        if not self._present(file, ("clip", *_OF_CLIP)):
            yield from super()._keys(file)
            return
        begun: set[str] = set()
        for run in self._runs(file, []):
            if run.key and run.key in begun:
                self._scattered.add((file, run.key))
            begun.add(run.key)
            with contextlib.suppress(UserError):  # of one clip; raised again when it is read
                yield run.key, self._own(file, run)

    def _column(self, name: Name) -> str:
        return self.options.columns.get(name, name)

    @property
    def _timed(self) -> tuple[Name, ...]:
        """``time``, where the description names its column."""
        return ("time",) if "time" in self.options.columns else ()

    def _rate(self, run: _Run) -> float:
        """Frames a second by the times of a clip's rows; 0 where there are none, or they are not seconds."""
        return rate_of_times(run.rows[self._column("time")]) if self._timed else 0.0

    def _present(self, file: Path, names: Sequence[Name]) -> list[str]:
        """Columns of these that a file has.

        Raises:
            UserError: the description names one that is not there.
        """
        there = column_names(file, self._form(file))
        for name in names:
            if name in self.options.columns and self._column(name) not in there:
                raise _no_column(file, self._column(name), there)
        return [self._column(name) for name in names if self._column(name) in there]

    def _coordinates(self, file: Path) -> np.ndarray:
        """Names of the columns of coordinates: (C,), or (V, C) where a row holds all joints.

        Raises:
            UserError: one is not there.
        """
        there = column_names(file, self._form(file))
        form = self._joint_columns
        if form:
            theirs = {ours: name for name, ours in self._theirs().items()}
            joints = [theirs.get(joint, joint) for joint in self.layout.joints]
            filled = _wide_columns(form, joints, there)
            names = np.array(filled if filled[0][2] in there else [row[:2] for row in filled], object)
            needed = list(names.ravel())
        else:
            names = np.array(self._present(file, ("x", "y", "z")), object)
            needed = [self._column(name) for name in ("x", "y", self._numbering(there), "joint")]
        for name in needed:
            if name not in there:
                raise _no_column(file, name, there)
        return names

    def _numbering(self, there: Collection[str]) -> Name:
        """What identifies frames: their numbers, or else their times."""
        return "time" if self._timed and self._column("frame") not in there else "frame"

    def _theirs(self) -> dict[str, str]:
        """Their names of joints -> the layout's.

        Raises:
            UserError: the layout has no such joint.
        """
        for theirs, ours in self.options.joints.items():
            if ours not in self.layout.joints:
                hint = nearest(ours, self.layout.joints)
                raise UserError(f"{self._beside}: joints.{theirs}: {self.layout.name} has no joint {ours!r}{hint}")
        return self.options.joints

    def _runs(self, file: Path, wanted: Sequence[str]) -> Iterator[_Run]:
        """Rows that follow one another, by clip, with the wanted columns and those that describe a clip."""
        present = self._present(file, ("clip", *_OF_CLIP))
        words = {self._column("person"), self._column("joint")}
        texts = [*present, *(name for name in wanted if name in words)]
        numbers = [name for name in wanted if name not in words]
        ((whole, _),) = super()._keys(file)
        clip, key = self._column("clip"), ""
        row = first = 0 if self.options.header else 1
        pieces: list[dict[str, np.ndarray]] = []
        for batch in read_columns(file, texts, numbers, self._form(file)):
            length = len(next(iter(batch.values())))
            keys = batch[clip] if clip in batch else np.full(length, whole, object)
            edges = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1), length] if length else []
            for start, stop in pairwise(edges):
                if pieces and keys[start] != key:
                    yield _Run(key, first, _joined(pieces))
                    pieces = []
                if not pieces:
                    key, first = keys[start], row + start
                pieces.append({name: values[start:stop] for name, values in batch.items()})
            row += length
        if pieces:
            yield _Run(key, first, _joined(pieces))

    def _own(self, file: Path, run: _Run) -> dict[str, str]:
        """What a clip's rows say about it.

        Raises:
            UserError: they do not agree.
        """
        own: dict[str, str] = {}
        for name in _OF_CLIP:
            values = run.rows.get(self._column(name))
            if values is None:
                continue
            other = np.flatnonzero(values[1:] != values[:-1])
            if other.size:
                where = f"{_row(file, run.first + 1 + int(other[0]))}, column {self._column(name)!r}"
                raise UserError(f"{where}: changes within clip {run.key!r}; give it one value")
            if values[0]:
                own[name] = str(values[0])
        return own

    def _joints(self, file: Path, run: _Run, coordinates: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
        """Joints (M, T, V, C) of a clip, NaN where no row has one, and whether frames are missing in between.

        Raises:
            UserError: a frame is not a number, a joint unknown, a joint given twice, or there are far too many persons.
        """
        rows = run.rows
        orders: list[Name] = ["frame", *self._timed]
        rows |= {
            name: _numbers(file, run, name)
            for name in dict.fromkeys((*coordinates.ravel(), *(self._column(name) for name in orders)))
            if name in rows
        }
        values = np.stack([rows[name] for name in coordinates.ravel()], -1).reshape(-1, *coordinates.shape)
        numbering = self._column(self._numbering(rows))
        frame, person = rows.get(numbering), rows.get(self._column("person"))
        if frame is None:
            if person is not None:
                raise _no_column(file, self._column("frame"), list(rows))
            frame = np.arange(len(values), dtype=np.float64)
        if not np.isfinite(frame).all():
            first = run.first + int(np.flatnonzero(~np.isfinite(frame))[0])
            raise UserError(f"{_row(file, first)}, column {numbering!r}: is empty; number the frames")
        who, persons = _in_order(person) if person is not None else (np.zeros(len(values), int), 1)
        if persons > _MOST_PERSONS:
            raise UserError(
                f"{_row(file, run.first)}: clip {run.key!r} has {persons} persons; expected a few, by number"
            )
        times, when = np.unique(frame, return_inverse=True)
        places = [who, when]
        if not self._joint_columns:
            places.append(self._joint_numbers(file, run))
        shape = (persons, len(times), self.layout.num_joints, coordinates.shape[-1])
        _, firsts = np.unique(np.ravel_multi_index(places, shape[: len(places)]), return_index=True)
        if len(firsts) < len(values):
            again = run.first + int(np.setdiff1d(np.arange(len(values)), firsts)[0])
            raise UserError(f"{_row(file, again)}: clip {run.key!r} has this frame and joint twice; name persons")
        joints = np.full(shape, np.nan)
        joints[tuple(places)] = values
        return joints, gaps(times)

    def _joint_numbers(self, file: Path, run: _Run) -> np.ndarray:
        """(rows,) numbers of the joints of rows."""
        number = {name: joint for joint, name in enumerate(self.layout.joints)}
        number |= {str(joint): joint for joint in range(self.layout.num_joints)}
        number |= {theirs: number[ours] for theirs, ours in self._theirs().items()}
        names, rows = np.unique(run.rows[self._column("joint")], return_inverse=True)
        for at, name in enumerate(names):
            if name not in number:
                where = _row(file, run.first + int(np.flatnonzero(rows == at)[0]))
                hint = nearest(name, self.layout.joints)
                column = self._column("joint")
                raise UserError(f"{where}, column {column!r}: {name!r} is not a joint of the layout{hint}")
        return np.array([number[name] for name in names])[rows]


def _numbers(file: Path, run: _Run, name: str) -> np.ndarray:
    """(rows,) float64 of a column.

    Raises:
        UserError: a cell is not a number.
    """
    values = run.rows[name]
    if values.dtype == object:
        for row, value in enumerate(values):
            if isinstance(value, str):
                found = f", column {name!r}: {value[:40]!r} is not a number" if value else ": is not like the header"
                found += "; save it with a decimal point" if _DECIMAL_COMMA.fullmatch(value) else ""
                raise UserError(f"{_row(file, run.first + row)}{found}")
    return values.astype(np.float64)


def _in_order(names: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers of names in the order in which they first occur, and how many there are."""
    _, firsts, rows = np.unique(names, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[rows], len(firsts)


def _joined(pieces: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _row(file: Path, row: int) -> str:
    """The place of a row; a CSV file's first line is the header."""
    return f"{file}: line {row + 1}" if is_text(file) else f"{file}: row {row}"


def _no_column(file: Path, name: str, there: Sequence[str]) -> UserError:
    mark = next((mark for mark in _DELIMITERS if len(there) == 1 and mark in there[0]), None)
    cased = {column.lower(): column for column in there if column.lower() in get_args(Name)}
    remedy = nearest(name, there)
    if mark:
        remedy = f"; line 1 is not separated by commas, so give delimiter={_DELIMITERS[mark]}"
    elif name in cased:
        named = ", ".join(f"{ours}: {column}" for ours, column in cased.items() if ours != column)
        remedy = f"; give columns='{{{named}}}'"
    return UserError(f"{file}: there is no column {name!r}{remedy}")


def _wide_columns(form: str, joints: Sequence[str], there: Collection[str]) -> list[list[str]]:
    """(V, 3) names of columns: by joints' names, or by their numbers from 0 or 1 where the table goes by these."""
    numbers = [[str(joint + first) for joint in range(len(joints))] for first in (0, 1)]
    filled = [_filled(form, words) for words in (joints, *numbers)]
    return next((names for names in filled if names[0][0] in there), filled[0])


def _filled(form: str, joints: Sequence[str]) -> list[list[str]]:
    """(V, 3) names of columns."""
    return [[form.replace("{axis}", axis).replace("{joint}", joint) for axis in "xyz"] for joint in joints]
