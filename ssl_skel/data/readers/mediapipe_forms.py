"""The forms in which people write MediaPipe's landmarks as JSON, brought to one."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssl_skel.data.frame_rate import rate_of_times
from ssl_skel.data.readers.estimators import read_json
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

_NAMES = LAYOUTS["mediapipe33"].joints
JOINTS = len(_NAMES)
Kind = Literal["world", "image", ""]
_KEYS: dict[Kind, tuple[str, ...]] = {
    "world": ("pose_world_landmarks", "poseWorldLandmarks", "world_landmarks", "worldLandmarks"),
    "image": ("pose_landmarks", "poseLandmarks", "image_landmarks", "imageLandmarks", "normalized_landmarks"),
    "": ("landmarks", "keypoints", "pose", "joints"),
}
_NUMBER = {name: number for number, name in enumerate(_NAMES)} | {str(number): number for number in range(JOINTS)}


@dataclass(frozen=True)
class Landmarks:
    """What a file holds.

    Attributes:
        persons: for each frame (P, 33, 4): x, y, z and visibility, 1 where it is unknown; NaN where a landmark is
            missing, and z where image landmarks have none.
        kind: what the file calls them; empty: it does not say.
        fps: frames a second, by their times; 0 where unknown.
    """

    persons: list[np.ndarray]
    kind: Kind
    fps: float = 0.0


def read_landmarks(file: Path) -> Landmarks:
    """All frames of a file.

    Raises:
        UserError: it is not JSON, or holds something else; names the frame.
    """
    frames = _frames(file)
    kind, key = _kind_and_key(frames)
    persons = [_persons(f"{file}: frame {t}", frame, kind, key) for t, frame in enumerate(frames)]
    return Landmarks(persons, kind, _rate(frames))


def _rate(frames: Sequence[Any]) -> float:
    """By the ``time`` of each frame, in seconds, as ``ssl-skel extract`` writes it; 0 where one has none."""
    times = [frame.get("time") if isinstance(frame, Mapping) else None for frame in frames]
    numbers = [float(time) for time in times if isinstance(time, int | float) and not isinstance(time, bool)]
    return rate_of_times(np.array(numbers)) if len(numbers) == len(times) else 0.0


def _frames(file: Path) -> list[Any]:
    """Frames in order: a list, one on each line, those of ``frames``, or a mapping by their numbers."""
    data = _json_or_lines(file)
    if isinstance(data, Mapping) and "frames" in data:
        data = data["frames"]
    if isinstance(data, Mapping):
        key = _key_of(data)[1]
        if key and isinstance(data[key], list) and data[key] and not _is_landmark(data[key][0]):
            data = [{key: frame} for frame in data[key]]
        elif key or _is_person(data):
            data = [data]
        elif all(str(number).isdigit() for number in data):
            data = [data[number] for number in sorted(data, key=int)]
    if not isinstance(data, list) or not data:
        raise UserError(f"{file}: frames: missing or empty; write a list of frames")
    return [data] if len(data) == JOINTS and all(map(_is_landmark, data)) else data


def _json_or_lines(file: Path) -> Any:
    """What a JSON file holds; of several lines that are JSON each, the list of these."""
    try:
        return read_json(file)
    except UserError as problem:
        try:
            lines = file.read_text("utf-8-sig").splitlines()
        except (OSError, ValueError):
            raise problem from None
    values = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                values.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                if not values:  # no line of JSON at all
                    raise UserError(f"{file}: is damaged, not JSON; write it again") from error
                raise UserError(f"{file}: line {number}: is damaged, not JSON; write it again") from error
    return values


def _key_of(frame: Any) -> tuple[Kind, str]:
    """What a frame calls its landmarks, and under which key; world landmarks take precedence."""
    for kind, keys in _KEYS.items() if isinstance(frame, Mapping) else ():
        for key in keys:
            if key in frame:
                return kind, key
    return "", ""


def _kind_and_key(frames: Sequence[Any]) -> tuple[Kind, str]:
    """The same of a whole file: that of the frame whose landmarks are best."""
    found = {_key_of(frame) for frame in frames}
    return next(((kind, key) for kind in _KEYS for key in _KEYS[kind] if (kind, key) in found), ("", ""))


def _persons(where: str, frame: Any, kind: Kind, key: str) -> np.ndarray:
    """Persons of one frame (P, 33, 4)."""
    found = frame
    if isinstance(frame, Mapping) and frame and not _is_person(frame):
        if not _key_of(frame)[1]:
            keys = ", ".join(_KEYS["world"])
            raise UserError(f"{where}: has none of {keys}, and is not a mapping of landmarks by name")
        found = frame.get(key)
    elif frame is not None and not isinstance(frame, list | Mapping):
        raise UserError(f"{where}: is not a mapping with {_KEYS['world'][0]}; write it like MediaPipe's results")
    if isinstance(found, Mapping) and "landmark" in found:  # as protobuf's MessageToDict writes it
        found = found["landmark"]
    found = found or []
    one = isinstance(found, Mapping) or not isinstance(found, list) or (bool(found) and _is_landmark(found[0]))
    people = [found] if one else [person["landmark"] if _is_message(person) else person for person in found]
    name = key or "landmarks"
    if not all(_is_person(person) or (isinstance(person, list) and len(person) == JOINTS) for person in people):
        raise UserError(f"{where}: {name}: is not a list of {JOINTS} landmarks, or of persons with as many each")
    try:
        values = np.array([_numbers(person) for person in people], np.float64).reshape(len(people), JOINTS, 4)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise UserError(f"{where}: {name}: holds a landmark without numbers x, y and z") from error
    if kind == "world" and (np.isnan(values[..., 2]) & np.isfinite(values[..., 0])).any():
        raise UserError(f"{where}: {name}: holds a landmark without numbers x, y and z")
    return values


def _is_message(thing: Any) -> bool:
    return isinstance(thing, Mapping) and isinstance(thing.get("landmark"), list)


def _is_landmark(thing: Any) -> bool:
    if isinstance(thing, Mapping):
        return "x" in thing or "y" in thing
    return isinstance(thing, list) and bool(thing) and isinstance(thing[0], int | float)


def _is_person(thing: Any) -> bool:
    """Whether it is a mapping of landmarks by name or by number, which may lack some."""
    return (
        isinstance(thing, Mapping)
        and bool(thing)
        and all(_number(key) is not None and (place is None or _is_landmark(place)) for key, place in thing.items())
    )


def _number(key: Any) -> int | None:
    """Number of the landmark that a key names: 11, left_shoulder, LEFT_SHOULDER, leftShoulder, PoseLandmark.NOSE."""
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(key).rpartition(".")[2])
    return _NUMBER.get(re.sub(r"[^a-z0-9]+", "_", word.lower()))


def _numbers(person: Any) -> list[list[float]]:
    """(33, 4) of one person."""
    rows = [[math.nan] * 4 for _ in range(JOINTS)]
    for key, landmark in person.items() if isinstance(person, Mapping) else enumerate(person):
        number = _number(key)
        if landmark is not None and number is not None:
            rows[number] = _four(landmark)
    return rows


def _four(landmark: Any) -> list[float]:
    """x, y, z and visibility, 1 if it is unknown; z NaN where there is none."""
    if isinstance(landmark, Mapping):
        values = [landmark["x"], landmark["y"], landmark.get("z", math.nan), landmark.get("visibility", 1.0)]
    elif isinstance(landmark, list) and len(landmark) in (2, 3, 4):
        values = [*landmark, *[math.nan, 1.0][len(landmark) - 2 :]]
    else:
        raise ValueError("no landmark")
    values[3] = 1.0 if values[3] is None else values[3]
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in values):
        raise ValueError("no number")
    return [float(number) for number in values]
