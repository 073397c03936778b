"""The first ``recordings.yaml``: what is seen is written down, guesses are marked, the rest is offered as a comment."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.config import parse_config
from ssl_skel.data.clip import BadClip, RawClip, tracked_joints
from ssl_skel.data.describing.formats import (
    DESCRIBED,
    array_joints,
    files_of,
    guess_format,
    label_lists,
    layouts_of,
    table_settings,
)
from ssl_skel.data.describing.names import guess_names
from ssl_skel.data.plausibility import SHORTEST, TALLEST, body_of, stance
from ssl_skel.data.readers import READERS, Reader
from ssl_skel.data.readers.described import without_suffix
from ssl_skel.data.readers.description import METRES
from ssl_skel.errors import UserError
from ssl_skel.names import unknown

_FILES, _CLIPS = 5, 5  # that are read to see how people stand, and of each
_CLASSES = 100  # more are not listed
_NOT_TEXT = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
_ESTIMATED = ("mediapipe", "openpose")  # formats that have one unit and one upward axis


@dataclass
class Draft:
    """A description.

    Attributes:
        format: entry of ``READERS``.
        settings: key -> value.
        remarks: key -> what it rests on, for the end of its line.
        offers: keys that cannot be guessed -> an example, and when it is needed.
    """

    format: str
    settings: dict[str, Any] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    offers: dict[str, tuple[Any, str]] = field(default_factory=dict)

    def put(self, key: str, value: Any, remark: str = "") -> None:
        """Write a key down."""
        self.settings[key] = value
        self.remarks[key] = remark

    def text(self, source: Path) -> str:
        """The YAML file."""
        lines = [
            f"# Recordings of the format {self.format}, as ssl-skel describe found them. Check each line, then run:",
            f"# ssl-skel convert {self.format} {shlex.quote(str(source))} STORE",
        ]
        for key, value in self.settings.items():
            remark = self.remarks[key]
            lines.append(f"{key}: {_yaml(value)}" + (f"  # {remark}" if remark else ""))
        if "problem" in self.remarks:
            lines.append(f"# {' '.join(self.remarks['problem'].split())}")
        lines += [f"# {key}: {_yaml(example)}  # {remark}" for key, (example, remark) in self.offers.items()]
        return "\n".join(lines) + "\n"


def draft(source: Path, format: str = "") -> Draft:
    """Describe a folder of recordings, or one file of them.

    Args:
        source: folder or file.
        format: entry of ``READERS``; default: by the endings of the files.

    Raises:
        UserError: nothing there has a format that a description goes with.
    """
    if not source.exists():
        raise UserError(f"{source}: does not exist; give a folder of recordings")
    format = format or guess_format(source)
    if format not in DESCRIBED:
        raise unknown("format", format, DESCRIBED)
    made = Draft(format)
    files = files_of(source, format)
    if not files:
        raise UserError(f"{source}: holds no recordings of the format {format}; choose another with --format")
    _describe_files(made, source, files)
    _describe_names(made, source, files)
    reader, clips, problem = _sample(made, source, files)
    if reader is not None:
        _describe_people(made, clips, reader)
        _describe_classes(made, reader, clips)
    if problem:
        made.remarks["problem"] = f"they cannot be read yet: {problem}"
    if not any(clip.fps for clip in clips):
        made.offers["fps"] = (30, "frames a second, if they are known")
    return made


def _describe_files(made: Draft, source: Path, files: Sequence[Path]) -> None:
    """Columns and layout, as the first file shows them."""
    joints: list[str] = []
    count = 0
    if made.format == "table":
        settings, joints = table_settings(files[0])
        count = len(joints)
        for key, value in settings.items():
            made.put(key, value)
    elif made.format in ("npy", "npz"):
        count = array_joints(files[0])
    elif made.format in ("bvh", "amc"):
        made.offers["layout"] = ("common15", "default: the joints of the files")
    if count:
        fit = layouts_of(count, joints)
        others = f"; as many have {', '.join(fit[1:])}" if fit[1:] else ""
        if fit:
            made.put("layout", fit[0], f"{count} joints{others}; see ssl-skel layouts {fit[0]}")
        else:
            made.offers["layout"] = ("mine.yaml", f"no built-in layout has {count} joints like these; write your own")
    if made.format != "table" and source.is_dir() and (lists := label_lists(source)):
        made.put("labels", lists[0], "one row per recording")


def _describe_names(made: Draft, source: Path, files: Sequence[Path]) -> None:
    """The pattern of the names, where a file is a clip."""
    if source.is_file() or made.format == "npz" or "clip" in made.settings.get("columns", {}):
        return
    suffixes = getattr(READERS[made.format], "suffixes", ())
    keys = [without_suffix(file.relative_to(source).as_posix(), suffixes) for file in files]
    pattern = guess_names(keys)
    if pattern:
        made.put("names", pattern, f"as in {keys[0]}")
    elif "labels" not in made.settings:
        made.offers["names"] = ("(?P<subject>[a-z]+)_(?P<label>[a-z]+)", "if names contain subjects, classes, takes")


def _sample(made: Draft, source: Path, files: Sequence[Path]) -> tuple[Reader | None, list[RawClip], str]:
    """The reader as far as it is known, with coordinates left as they are; some clips; and why there are none."""
    kind = READERS[made.format]
    as_they_are = {} if made.format in _ESTIMATED else {"up": "y", "units": "m"}
    found: list[RawClip | BadClip] = []
    try:
        reader = kind(source, None, parse_config(kind.Options, made.settings | as_they_are, "describe"))
        for file in files[:: max(1, len(files) // _FILES)][:_FILES]:
            found += itertools.islice(reader.read(file), _CLIPS)
    except UserError as error:
        return None, [], str(error).removeprefix(f"{source}/")
    clips = [clip for clip in found if isinstance(clip, RawClip)]
    problem = next((str(clip.error) for clip in found if isinstance(clip, BadClip)), "")
    return reader, clips, "" if clips else problem.removeprefix(f"{source}/")


def _describe_people(made: Draft, clips: Sequence[RawClip], reader: Reader) -> None:
    """Upward axis and unit, by how people stand in the sample."""
    body = body_of(reader.layout)
    if made.format in _ESTIMATED:
        return
    stances = []
    for clip in clips:
        joints = clip.joints[:1, tracked_joints(clip.joints[0]).all(1)].astype(np.float64)
        if body is not None and joints.shape[1]:
            stances.append(stance(joints, reader.layout, body))
    if not stances:
        made.offers |= {"up": ("z", "which axis points up: y, -y or z"), "units": ("cm", "m, cm or mm")}
        return
    upward = np.mean([up for up, _ in stances], 0)
    axis = int(np.abs(upward).argmax())
    name = ("-" if upward[axis] < 0 else "") + "xyz"[axis]
    if name in ("y", "z", "-y"):
        made.put("up", name, "guessed: heads are above feet along it")
    else:
        made.offers["up"] = ("z", f"heads are along {name} in most recordings")
    if len(upward) == 3:
        _describe_units(made, float(np.median([length for _, length in stances])))


def _describe_units(made: Draft, stature: float) -> None:
    """The unit in which the median person has a human size."""
    human = [unit for unit, metres in METRES.items() if SHORTEST <= stature * metres <= TALLEST]
    if human:
        size = stature * METRES[human[0]]
        made.put("units", human[0], f"guessed: people measure {size:.2f} m from head to foot")
    elif stature > 0:
        made.put("units", "m")
        made.put("scale", float(f"{1.6 / stature:.3g}"), "guessed: it makes people 1.6 m from head to foot")


def _describe_classes(made: Draft, reader: Reader, clips: Sequence[RawClip]) -> None:
    """Names of the classes, and an example of a split by the subjects there are."""
    names = reader.class_names
    if names and len(names) <= _CLASSES and not all(name.isdigit() for name in names):
        made.put("class_names", list(names), "in the order of their numbers from 0")
    elif names and len(names) <= _CLASSES:
        made.offers["class_names"] = ([f"name of {name}" for name in names[:2]], f"one of each of {len(names)} classes")
    named = list(reader.value_names.get("subject", {}))
    subjects: list[str] | list[int] = named or sorted({clip.subject for clip in clips} - {-1})
    if len(subjects) > 1:
        sides = {"train": {"subject": subjects[:1]}, "test": {"subject": subjects[1:2]}}
        made.offers["splits"] = ({"mine": sides}, "by_subject and others exist without this")


def _yaml(value: Any) -> str:
    """A value on one line; JSON is YAML."""
    plain = (
        isinstance(value, str) and re.fullmatch("[a-z][a-z0-9_-]*[.]?[a-z0-9]*|-y", value) and value not in _NOT_TEXT
    )
    return value if plain else json.dumps(value, ensure_ascii=False)
