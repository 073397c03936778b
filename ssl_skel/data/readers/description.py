"""``recordings.yaml``: what a user's own recordings do not say themselves, in any format."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

import numpy as np
import regex
from pydantic import Field, field_validator

from ssl_skel.config import Section, load_config
from ssl_skel.data.readers.base import ReaderOptions, natural
from ssl_skel.errors import UserError, why_unreadable
from ssl_skel.layouts import SkeletonLayout, load_layout

_SECONDS = 1.0
"""Seconds to search a pattern in one name; a normal one takes microseconds, a hostile one would never end."""
METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
VALUES = ("subject", "camera", "setup", "replication", "recording")
"""What may be known about a clip besides its label, each a whole number or a name."""
ALSO = {"session": "setup", "take": "replication"}
"""Other words for some of them."""
_GROUPS = ("label", *VALUES, *ALSO)
_MOST_CLASSES = 1_000_000
_LONGEST_VALUE = 150


class Description(ReaderOptions):
    """``recordings.yaml`` in a folder of recordings, or a YAML file named like one recording beside it.

    Words on the command line take precedence.
    """

    of_source = frozenset({"layout", "class_names", "splits", "names", "labels"})

    layout: str = ""
    """A built-in layout, or a YAML file in the same folder."""

    class_names: tuple[str, ...] = ()
    """One name per label; default: what the recordings say."""

    up: Literal["y", "z", "-y"] = "y"
    """Which axis points up. z: depth is y, as in motion capture. -y: image coordinates, y grows downwards. Both are
    turned (never mirrored) so that x, y, z are as a Kinect has them."""

    units: Literal["m", "cm", "mm"] = "m"
    """Unit of the coordinates."""

    splits: dict[str, Any] = Field(default_factory=dict)
    """Splits in the form of ssl_skel.data.splits."""

    scale: float = Field(default=1.0, gt=0.0)
    """Coordinates are multiplied by it too, for units that have no name: 0.000926 makes a 1080th of pixels, so that
    an image's height is 1."""

    names: str = ""
    """A regular expression that is searched in each recording's path below the folder, without the ending (of an .npz
    file, in each clip's name). Its groups named label, subject, camera, setup (or session), replication (or take) and
    recording give these, as in '(?P<subject>[a-z]+)_(?P<label>[a-z]+)'. All but labels may be numbers or names; clips
    of one recording are never on both sides of a derived split."""

    labels: str = ""
    """A CSV file in the same folder, with a column ``file`` (that path, with or without the ending), any of the words
    that names may have as groups, and split (train, test or nothing). It takes precedence over names."""

    @field_validator("names")
    @classmethod
    def _check_names(cls, names: str) -> str:
        try:
            groups = set(regex.compile(names).groupindex)
        except regex.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        for group in sorted(groups - set(_GROUPS)):
            raise ValueError(f"has a group {group!r}; groups may be {', '.join(_GROUPS)}")
        return names


class NamedJoints(Description):
    """The same for files that name their joints."""

    joints: dict[str, str] = Field(default_factory=dict)
    """Names of joints in the files -> names in the layout, where they differ."""


DescriptionT = TypeVar("DescriptionT", bound=Description)
Labels = dict[str, dict[str, str]]
"""Path of a recording, without the ending -> column -> text."""


def find_layout(description: Description, beside: Path, file: Path) -> SkeletonLayout:
    """The layout that a description names.

    Args:
        description: what the YAML file says.
        beside: that file.
        file: recordings, for the message.

    Raises:
        UserError: it names none, one that is unknown, or one outside its folder.
    """
    if not description.layout:
        raise UserError(f"{file}: its layout is unknown; write 'layout: ...' into {beside.name}, or give --layout")
    if not description.layout.endswith((".yaml", ".yml")):
        return load_layout(description.layout)
    return load_layout(str(_inside(beside, "layout", description.layout)))


def find_description(file: Path) -> Path:
    """The YAML file that describes one file alone: of its own name beside it, or else ``recordings.yaml`` there."""
    own, shared = file.with_suffix(".yaml"), file.parent / "recordings.yaml"
    return shared if shared.is_file() and not own.is_file() else own


def read_description(kind: type[DescriptionT], beside: Path, words: Section | None) -> DescriptionT:
    """A description: the file's, if there is one, overridden by words of the command line.

    Raises:
        UserError: the file is not such a description.
    """
    found = load_config(kind, beside) if beside.is_file() else kind()
    return found.model_copy(update=(words or kind()).model_dump(exclude_unset=True))


def to_metres(joints: np.ndarray, description: Description, where: Path | str) -> np.ndarray:
    """Joints (..., C) as described to metres with y up, float32; C is 2 or 3.

    Raises:
        UserError: z is given as up, and there is no z; begins with ``where``.
    """
    if description.up == "z" and joints.shape[-1] == 2:
        raise UserError(f"{where}: up: z needs three coordinates; the joints have two")
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is infinite, and refused
        return _turned(joints.astype(np.float32), description) * np.float32(description.scale)


def _turned(joints: np.ndarray, description: Description) -> np.ndarray:
    if description.up == "z":
        joints = joints[..., [0, 2, 1]] * np.array([-1, 1, 1], np.float32)
    elif description.up == "-y":
        joints = joints * np.array([-1, -1, 1], np.float32)[: joints.shape[-1]]
    return joints * np.float32(METRES[description.units])


def describe_clip(
    description: Description, rows: Labels | None, key: str, file: Path, own: Mapping[str, str]
) -> dict[str, str]:
    """What is known of a clip, as text: by its folder or its name, then its row of the table, then its own file.

    A recording's folder is its class, unless names or a table give the classes.

    Args:
        description: of the recordings.
        rows: of its table, where it has one.
        key: path of the clip below the folder, without the ending.
        file: that holds it, for messages and its ending.
        own: what the file says.

    Raises:
        UserError: its name does not match, or it has no row.
    """
    known: dict[str, str] = {}
    if rows is None and "(?P<label>" not in description.names:
        known["label"] = PurePosixPath(key).parent.name
    if description.names:
        try:
            match = regex.search(description.names, key, timeout=_SECONDS)
        except TimeoutError:
            raise UserError(
                f"{file}: names: {description.names!r} searches {key!r} for too long; avoid repeats of repeats"
            ) from None
        if match is None:
            raise UserError(f"{file}: names: {description.names!r} is not in {key!r}; change one of them")
        known |= {column: text for column, text in match.groupdict().items() if text}
    if rows is not None:
        row = rows.get(key, rows.get(key + file.suffix))
        if row is None:
            raise UserError(f"{file}: {description.labels} has no row for {key!r}; add one")
        known |= {column: text for column, text in row.items() if text}
    return {ALSO.get(column, column): text for column, text in (known | dict(own)).items()}


def given_split(sides: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The split ``given``, of (side, clip's name) pairs; empty where no clip is on a side."""
    names: dict[str, list[str]] = {"train": [], "test": []}
    for side, name in sides:
        names.get(side, []).append(name)
    return {"given": {side: {"name": some} for side, some in names.items()}} if any(names.values()) else {}


def read_labels(beside: Path, name: str) -> Labels:
    """What the CSV file of ``Description.labels`` says: path without the ending -> column -> text.

    Raises:
        UserError: it cannot be read, is outside the folder, has other columns, or a path twice.
    """
    file = _inside(beside, "labels", name)
    known = ("file", *_GROUPS, "split")
    by_path: dict[str, dict[str, str]] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            columns = rows.fieldnames or ()
            if "file" not in columns or set(columns) - set(known) or len(set(columns)) < len(columns):
                raise UserError(
                    f"{file}: line 1: has the columns {', '.join(columns)}; expected file and some of "
                    f"{', '.join(known[1:])}, separated by commas"
                )
            for row in rows:
                where = f"{file}: line {rows.line_num}"
                if None in row or None in row.values():
                    raise UserError(f"{where}: does not have {len(columns)} columns like line 1")
                path = row.pop("file")
                if row.get("split", "") not in ("train", "test", ""):
                    raise UserError(f"{where}: split: is {row['split']!r}; write train, test or nothing")
                if path in by_path:
                    raise UserError(f"{where}: file: {path!r} is also above; keep one")
                by_path[path] = row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        remedy = "write it as UTF-8 text separated by commas"
        why = f"{error}; {remedy}" if isinstance(error, csv.Error) else why_unreadable(error, remedy)
        raise UserError(f"{file}: cannot be read: {why}") from error
    return by_path


def check_value(text: str, where: str) -> str:
    """A subject, camera and so on as a name or a table gives it; "" where it is unknown.

    Raises:
        UserError: it is a number other than a whole one from 0 on, or far too long for a name.
    """
    if text in ("", "-1"):
        return ""
    if len(text) > _LONGEST_VALUE or (_is_number(text) and not (text.isascii() and text.isdigit())):
        raise UserError(f"{where}: is {text[:40]!r}; expected a whole number from 0 on, or a name")
    return text


def _is_number(text: str) -> bool:
    try:
        return bool(float(text) or True)
    except ValueError:
        return False


def number_values(found: Iterable[str]) -> dict[str, int]:
    """Numbers of the values of a column: those that they are, where all are numbers; else from 1, in natural order.

    >>> number_values(["p10", "p2", ""]), number_values(["07", "3"])
    ({'': -1, 'p2': 1, 'p10': 2}, {'': -1, '3': 3, '07': 7})
    """
    names = sorted(set(found) - {""}, key=lambda name: (natural(PurePosixPath(name)), name))
    if all(_is_short_number(name) for name in names):
        return {"": -1} | {name: int(name) for name in names}
    return {"": -1} | {name: number for number, name in enumerate(names, 1)}


def value_names(numbers: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """The numbers of each column that stand for names, for ``Reader.value_names``."""
    named = {
        column: {name: number for name, number in values.items() if name}
        for column, values in numbers.items()
        if not all(_is_short_number(name) for name in values if name)
    }
    return {column: names for column, names in named.items() if names}


def _is_short_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def name_classes(found: Iterable[str], given: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Names of the classes: those given; else numbers up to the largest label, where all are numbers; else the labels.

    Numbers begin at 0, or at 1 where that is the smallest.

    >>> name_classes(["wave", "bow", "wave", ""]), name_classes(["2", "0"]), name_classes(["3", "1"])
    (('bow', 'wave'), ('0', '1', '2'), ('1', '2', '3'))
    """
    if given:
        return given
    labels = set(found) - {"", "-1"}
    numbers = [int(label) for label in labels if _is_class_number(label)]
    if len(numbers) < len(labels):
        return tuple(sorted(labels))
    first = int(min(numbers, default=0) == 1)
    return tuple(map(str, range(first, max(numbers, default=-1) + 1)))


def class_number(label: str, numbers: Mapping[str, int], where: str) -> int:
    """Number of the class that a label names, or is; -1 where it is empty.

    Args:
        label: a name of a class, or its number from 0 on.
        numbers: of the classes, by name.
        where: it is given, for the message.

    Raises:
        UserError: there is no such class.
    """
    if label in ("", "-1"):
        return -1
    plain = str(int(label)) if _is_class_number(label) else label  # 01 is 1
    if plain in numbers:
        return numbers[plain]
    if _is_class_number(label) and int(label) < len(numbers):
        return int(label)
    raise UserError(f"{where}: label {label[:40]!r} is not a class; name it in class_names")


def _is_class_number(label: str) -> bool:
    return _is_short_number(label) and int(label) < _MOST_CLASSES


def _inside(beside: Path, field: str, name: str) -> Path:
    path = Path(os.path.realpath(beside.parent / name))
    if not path.is_relative_to(beside.parent.resolve()):
        raise UserError(f"{beside}: {field}: {name} is outside its folder; put it beside {beside.name}")
    return path
