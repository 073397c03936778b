"""Raw files to normalised clips, in the order of the files, by one process or several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np

from ssl_skel.data.clip import BadClip, RawClip, attempt, check_clip, content_hash
from ssl_skel.data.dropped import absent_frames, tidied
from ssl_skel.data.frame_rate import resample
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.readers.base import Reader
from ssl_skel.data.repair import Change, RepairConfig, repair
from ssl_skel.errors import UserError

_FILES_AT_ONCE = 8  # sent to a process together; the few clips they hold wait in memory


@dataclass(frozen=True)
class Work:
    """What is done to each file."""

    reader: Reader
    normalize: NormalizeConfig
    skip_bad: bool = False
    hint: str = ""  # beside the remedy for damage that stops everything
    exclude: frozenset[str] = frozenset()  # names of clips to leave out
    repairs: RepairConfig = field(default_factory=RepairConfig)
    rate: float = 0.0  # frames a second that clips are brought to; 0: they stay as they are


@dataclass(frozen=True)
class Ready:
    """A normalised clip of a file, the hash of its recording, how many joints were filled, what was repaired.

    ``clip.dropped`` counts what was left out, and what was made up of persons who were absent.
    """

    file: Path
    clip: RawClip
    content: int
    filled: int
    changes: list[Change]


@dataclass(frozen=True)
class Done:
    """The end of a file, what of it was damaged and left out, and names of clips that were to be left out."""

    file: Path
    skipped: list[dict[str, str]]
    excluded: list[str]


def read_files(work: Work, files: Sequence[Path], jobs: int, skip: int = 0) -> Iterator[Ready | Done]:
    """Clips of files, each file's followed by ``Done``.

    Args:
        work: what to do.
        files: in the order wanted.
        jobs: processes; 1 is this one, which holds one clip at a time. Archives are read by this one.
        skip: sound clips of the first file that are not wanted.

    Raises:
        UserError: the first damaged file, unless those are to be skipped; no jobs; or a process died.
    """
    if jobs < 1:
        raise UserError(f"jobs: must be at least 1, got {jobs}")
    if jobs == 1 or len(files) <= 1 or work.reader.archive:
        for number, file in enumerate(files):
            yield from _read(work, file, 0 if number else skip)
        return
    if skip:
        yield from _read(work, files[0], skip)
        files = files[1:]
    spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads can hang
    pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_start, initargs=(work,))
    waiting: deque[Future[list[Ready | Done]]] = deque()
    try:
        for begin in range(0, len(files), _FILES_AT_ONCE):
            waiting.append(pool.submit(_read_some, files[begin : begin + _FILES_AT_ONCE]))
            if len(waiting) > 2 * jobs:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise UserError("a reading process was killed, perhaps because memory ran out; use fewer --jobs") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _read(work: Work, file: Path, skip: int = 0) -> Iterator[Ready | Done]:
    """Sound clips of one file, normalised; damage is listed, or stops everything."""
    skipped: list[dict[str, str]] = []
    excluded: list[str] = []
    count = 0
    for clip in _clips(work.reader, file):
        if isinstance(clip, BadClip):
            if not work.skip_bad:
                error = clip.error
                raise UserError(f"{error} ({work.hint})" if work.hint else str(error)) from error
            skipped.append(damage_record(work.reader, file, clip))
        elif clip.name in work.exclude:
            excluded.append(clip.name)
        else:
            count += 1
            if count > skip:
                yield _ready(work, file, clip)
    yield Done(file, skipped, excluded)


def _clips(reader: Reader, file: Path) -> Iterator[RawClip | BadClip]:
    """Clips of one file, sound or bad; what ends the file early comes last, as a bad clip without a name."""
    if file.is_file() and not file.stat().st_size:
        yield BadClip("", UserError(f"{file}: is empty"))
        return
    clips = reader.read(file)
    while True:
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
                clip = next(clips)
        except StopIteration:
            return
        except UserError as error:
            yield BadClip("", error)
            return
        yield clip if isinstance(clip, BadClip) else attempt(clip.name, partial(_checked, clip, reader, file))


def _checked(clip: RawClip, reader: Reader, file: Path) -> RawClip:
    """A clip that can be normalised, without frames and persons that are not wanted."""
    check_clip(clip, reader.layout, file)
    return tidied(clip, getattr(reader.options, "min_seen", 0.0))


def damage_record(reader: Reader, file: Path, bad: BadClip) -> dict[str, str]:
    """What a store records about damage: the file, the clip where it was one of several, and what is wrong."""
    within = str(file.relative_to(reader.source)) if file != reader.source else file.name
    return (
        {"file": within} | ({"clip": bad.name} if bad.name else {}) | {"why": str(bad.error).removeprefix(f"{file}: ")}
    )


def _ready(work: Work, file: Path, clip: RawClip) -> Ready:
    coordinates = work.reader.layout.coordinates(clip.joints.shape[-1])
    repaired, changes = repair(clip.joints[..., :coordinates], work.repairs)
    score = clip.joints[..., coordinates:].copy()
    for change in changes:
        if change.order:  # scores go with their persons
            frames = slice(change.first, change.last + 1)
            score[:, frames] = score[list(change.order), frames]
    recorded = np.concatenate([repaired, score], -1)
    fps = work.reader.options.fps or clip.fps or work.reader.fps
    try:
        if work.rate:
            recorded, fps = resample(recorded, fps, work.rate), work.rate
        joints, filled = normalize(recorded, work.reader.layout, work.normalize, work.reader.ordered)
    except UserError as error:
        raise UserError(f"{file}: clip {clip.name!r}: {error}") from error
    dropped = {**clip.dropped, **absent_frames(clip.joints)}
    made = replace(clip, joints=joints, dropped=dropped, fps=fps)
    return Ready(file, made, content_hash(clip.joints), filled, changes)


_work: Work | None = None  # of this process, if it was started to read


def _start(work: Work) -> None:
    """Make a process ready to read, and let it end with its parent and not with Ctrl-C, which is the parent's."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


def _read_some(files: Sequence[Path]) -> list[Ready | Done]:
    assert _work is not None
    return [item for file in files for item in _read(_work, file)]
