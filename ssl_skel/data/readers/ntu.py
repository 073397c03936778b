"""NTU RGB+D 60 and 120 (Shahroudy et al., CVPR 2016; Liu et al., TPAMI 2020): raw ``.skeleton`` files.

Which bodies are people and who is the first is decided as in CTR-GCN, data/ntu/get_raw_skes_data.py and
get_raw_denoised_data.py, the preparation of most published figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssl_skel.config import Section
from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.base import Reader, ReaderOptions
from ssl_skel.data.readers.decimals import PADDING, read_numbers
from ssl_skel.data.readers.ntu_facts import CLASS_NAMES, NAME, SPLITS_60, SPLITS_120, columns
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, LayoutLike

_EXAMPLE = "S001C002P003R002A013.skeleton"
_JOINTS, _WORDS = 25, 12  # one line per joint; words of such a line
_MARK = b"\xef\xbb\xbf"  # of the byte order, which some editors put in front
_MOST_BODIES = 6  # that a Kinect v2 can follow
_SHORT = 11  # frames; a track no longer than this is noise
_WIDE, _WIDE_SHARE = 0.8, 0.69754  # width over height of a frame that is noise, and share of such in a track that is


class NtuOptions(ReaderOptions):
    """Options of NTU's raw files."""

    denoise: bool = True
    """Drop tracks that are noise, and join the rest into two persons, as CTR-GCN's code does. Off: every body that the
    sensor reports is a person."""

    lost: Literal["stay", "close"] = "stay"
    """What to do with frames in which a body was lost, between others in which it was seen. stay: they are a gap.
    close: it continues in the frame after it was last seen, as in CTR-GCN's code, so that everything it does later
    comes too early, also relative to the other person."""

    of_source = frozenset({"missing"})

    missing: str = ""
    """A text file of names to leave out, such as the published lists of samples with missing skeletons (302 of NTU-60,
    535 of NTU-120); everything in it that looks like a clip's name counts."""


@dataclass(frozen=True)
class _Track:
    """One body: frames in which it was seen (ascending), and joints (T, 25, 3)."""

    frames: np.ndarray
    joints: np.ndarray


class NtuReader(Reader):
    """Text files ``SsssCcccPpppRrrrAaaa.skeleton``: setup, camera, subject, replication, action; Kinect v2, 25 joints.

    A folder without actions above 60 is read as NTU-60 (60 classes), else as NTU-120.

    Frames that show nobody, or nobody but noise, are dropped, as in CTR-GCN's code; persons are in its order.

    Departs from print: a body that was lost for some frames keeps its later frames, unless ``lost=close``. A track
    survives even if all are short. Where one of two persons is absent, CTR-GCN's files have zeros; here the joints are
    not tracked, and normalisation fills them: the pose before or after is held, and crossed in a straight line between
    (``NormalizeConfig``; a store's ``filled`` counts these positions).

    Splits: ``xsub`` and, of NTU-60, ``xview`` (cameras 2, 3 against 1), of NTU-120 ``xset`` (even setups against odd).
    """

    layout = LAYOUTS["ntu25"]
    fps = 30.0
    Options = NtuOptions
    endings = (".skeleton",)

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        super().__init__(source, layout, options)
        self.ordered = self.options.denoise
        small = all(int(match[5]) <= 60 for match in map(NAME.match, (file.stem for file in self.files())) if match)
        self.class_names = CLASS_NAMES[: 60 if small else 120]
        self.splits: dict[str, dict[str, Any]] = SPLITS_60 if small else SPLITS_120

    def recorded_options(self) -> dict[str, Any]:
        return super().recorded_options() | {"missing": Path(self.options.missing).name}

    def files(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        missing = _names(self.options.missing)
        found = self._find("*.skeleton", _EXAMPLE)
        files = [file for file in found if file.stem not in missing]
        if not files:
            raise UserError(f"{self.options.missing}: names all recordings; take some out")
        return files

    def read(self, file: Path) -> Iterator[RawClip]:
        parts = columns(file.stem) if NAME.fullmatch(file.stem) else {}
        if not 0 <= parts.get("label", -1) < len(CLASS_NAMES):
            raise UserError(f"{file}: the name has no action from 1 to 120; expected one like {_EXAMPLE}")
        try:
            ids, frames, joints, empty = _bodies(file.read_bytes().removeprefix(_MARK) + PADDING)
            tracks = _tracks(ids, frames, joints, self.options.lost == "close")
        except (OSError, ValueError, IndexError, OverflowError) as error:
            raise UserError(f"{file}: is damaged: {_reason(error)}; download it again") from error
        if not tracks:
            raise UserError(f"{file}: shows nobody in any frame; it is one of the published missing skeletons")
        joined, dropped = _join(tracks, self.options.denoise)
        dropped["empty_frames"] += empty
        yield RawClip(file.stem, joined, **parts, dropped={kind: count for kind, count in dropped.items() if count})


def _bodies(data: bytes) -> tuple[list[bytes], np.ndarray, np.ndarray, int]:
    """All bodies of all frames: their ids, frames and joints (B, 25, 3). Frames that show nobody do not count.

    The last value is how many show nobody.

    Raises:
        ValueError: numbers are missing, are not numbers, or do not fit; names the line.
    """
    starts = np.concatenate([[0], np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1, [len(data)]])
    begin = starts.tolist()
    lines = len(begin) - 1
    while lines and not data[begin[lines - 1] : begin[lines]].strip():
        lines -= 1

    known: dict[bytes, int] = {}  # most of these lines say the same

    def number(line: int, most: int, what: str) -> int:
        if line >= lines:
            raise ValueError(f"the file ends too early, after line {lines}")
        text = data[begin[line] : begin[line + 1]]
        if text not in known and text.strip().isdigit() and len(text) < 12:
            known[text] = int(text)
        if not 0 <= known.get(text, -1) <= most:
            word = text.strip()[:20].decode("ascii", "replace")
            raise ValueError(f"line {line + 1}: the number of {what} is {word!r}")
        return known[text]

    frames = number(0, len(data), "frames")
    line, shown, ids, bodies, frame_of = 1, 0, [], [], []
    for _ in range(frames):
        count = number(line, _MOST_BODIES, "bodies")
        line += 1
        for _ in range(count):
            if number(line + 1, 1000, "joints") != _JOINTS:
                raise ValueError(f"line {line + 2}: the number of joints must be {_JOINTS}")
            ids.append(data[begin[line] : begin[line + 1]].partition(b" ")[0])
            bodies.append(line + 2)
            frame_of.append(shown)
            line += 2 + _JOINTS
        shown += count > 0
    if line > lines or (
        bodies and line == lines and len(data[begin[line - 1] : begin[line]].split()) not in (1, _WORDS)
    ):
        raise ValueError(f"the file ends too early, in line {lines}")
    if line < lines:
        raise ValueError(f"line {line + 1}: more follows than the {frames} frames that line 1 states")
    rows = (np.array(bodies, np.int64)[:, None] + np.arange(_JOINTS)).ravel()
    places, end = read_numbers(data, starts[rows], 3)
    over = end >= starts[rows + 1]
    if over.any():
        raise ValueError(f"line {rows[over.argmax()] + 1}: has fewer than three numbers")
    return ids, np.array(frame_of), places.reshape(-1, _JOINTS, 3), frames - shown


def _tracks(ids: list[bytes], frames: np.ndarray, joints: np.ndarray, close: bool) -> list[_Track]:
    """Bodies gathered by id, in the order in which they appear; of an id twice in a frame the last counts.

    Args:
        ids, frames, joints: as ``_bodies`` gives them.
        close: leave no frames out within a track.
    """
    rows: dict[bytes, dict[int, int]] = {}
    for row, (body, frame) in enumerate(zip(ids, frames.tolist(), strict=True)):
        rows.setdefault(body, {})[frame] = row
    tracks = []
    for seen in rows.values():
        at = np.array(list(seen))
        tracks.append(_Track(at[0] + np.arange(len(at)) if close else at, joints[list(seen.values())]))
    return tracks


def _motion(joints: np.ndarray) -> float:
    """Summed variance of x, y and z over joints and frames (T, 25, 3); zero where a number is missing."""
    with np.errstate(over="ignore", invalid="ignore"):
        motion = float(np.ascontiguousarray(joints.reshape(-1, 3).T).var(1).sum())
    return motion if np.isfinite(motion) else 0.0


def _join(tracks: list[_Track], denoise: bool) -> tuple[np.ndarray, Counter[str]]:
    """Persons (M, T, 25, 3) float32, NaN where not seen; frames in which nobody is left are dropped, and counted."""
    length = 1 + max(int(track.frames[-1]) for track in tracks)
    if not denoise:
        joined = np.full((len(tracks), length, _JOINTS, 3), np.nan, np.float32)
        for number, track in enumerate(tracks):
            joined[number, track.frames] = track.joints
        return joined, Counter()
    joined = np.full((2, length, _JOINTS, 3), np.nan, np.float32)
    spans = [(0, 0), (0, 0)]
    people = _denoise(tracks)
    dropped = Counter(noise=len(tracks) - len(people))
    for number, track in enumerate(people):
        first, last = int(track.frames[0]), int(track.frames[-1])
        for person, (begin, stop) in enumerate(spans):  # the second begins with a span of nothing
            if number == 0 or min(stop, last) - max(begin, first) <= 0:
                joined[person, track.frames] = track.joints
                spans[person] = (min(begin, first), max(stop, last)) if number else (first, last)
                break
        else:
            dropped["third"] += 1
    shown = ~np.isnan(joined).all((0, 2, 3))
    dropped["empty_frames"] = int((~shown).sum())
    joined = joined[:, shown]
    return joined if np.isfinite(joined[1]).any() else joined[:1], dropped


def _denoise(tracks: list[_Track]) -> list[_Track]:
    """Leave out tracks that are too short, or too wide for people; at least one stays. Those that move most come first.

    How much a track moves is the variance of its joints; without the frames that are too wide, if that is less.
    """
    if len(tracks) == 1:
        return tracks
    kept = [track for track in tracks if len(track.frames) > _SHORT]
    kept = kept or [max(tracks, key=lambda track: len(track.frames))]
    left = len(kept)
    people: list[tuple[float, _Track]] = []
    for track in kept:
        x, y = np.moveaxis(track.joints[..., :2], 2, 0)
        with np.errstate(invalid="ignore"):
            narrow = np.ptp(x, 1) <= _WIDE * np.ptp(y, 1)
        motion = _motion(track.joints)
        if left > 1 and 1 - narrow.mean() >= _WIDE_SHARE:
            left -= 1
            continue
        if left > 1 and not narrow.all():
            motion = min(motion, _motion(track.joints[narrow]))
        people.append((motion, track))
    return [track for _, track in sorted(people, key=lambda person: -person[0])]


def _names(path: str) -> set[str]:
    """Clip names in a text file."""
    if not path:
        return set()
    try:
        text = Path(path).read_text("utf-8", "replace")
    except OSError as error:
        raise UserError(f"missing: {path}: cannot be read: {error.strerror}; give a text file of names") from error
    return {match[0] for match in NAME.finditer(text)}


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).split("\n")[0]
