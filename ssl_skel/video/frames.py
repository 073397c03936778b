"""Frames of a clip from its video file, by PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.errors import UserError
from ssl_skel.progress import progress

FORMATS = {".mp4": "mp4", ".mov": "mov", ".avi": "avi", ".mkv": "matroska", ".webm": "matroska"}
"""Format of each ending. A file's format is never guessed: a playlist would lead elsewhere."""

Crop = tuple[float, float, float, float]
WHOLE: Crop = (0.0, 0.0, 1.0, 1.0)


def find_videos(folder: Path, names: Iterable[str], suffix: str = "") -> list[Path]:
    """Each clip's video, by name.

    Only the folder's own files are searched, so a clip's name cannot lead out of it.

    Args:
        folder: files ``<clip name><suffix>.<ending>``, the ending one of ``FORMATS``.
        names: of the clips.
        suffix: ``_rgb`` for NTU RGB+D, ``_color`` for UTD-MHAD.

    Raises:
        UserError: no such folder, a clip without a video, or one with two.
    """
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in FORMATS and file.is_file())
    except OSError as error:
        raise UserError(f"videos: {folder}: {error.strerror}; give the folder with a video for each clip") from error
    found: dict[str, Path] = {}
    twice = {file.stem: file for file in files if found.setdefault(file.stem, file) is not file}
    chosen = []
    for name in names:
        stem = f"{name}{suffix}"
        if stem not in found:
            endings = ", ".join(FORMATS)
            raise UserError(
                f"videos: {folder}: clip {name} has no video {stem} with one of the endings {endings}; add it, set "
                "suffix, or leave the clip out of the store"
            )
        if stem in twice:
            raise UserError(f"videos: {folder}: clip {name} has {found[stem].name} and {twice[stem].name}; keep one")
        chosen.append(found[stem])
    return chosen


def check_videos(videos: Sequence[Path]) -> None:
    """Decode the first frame of each video, which is quick, before decoding them all.

    Raises:
        UserError: PyAV is missing, or naming all videos whose first frame cannot be decoded.
    """
    av, bad = _pyav(), []
    for path in progress(videos, "videos looked at", unit="clip", delay=1.0, leave=False):
        try:
            if not _pictures(av, path, np.zeros(1, np.int64), 1, WHOLE)[0]:
                bad.append((path, "no picture"))
        except (av.error.FFmpegError, IndexError, OSError) as error:
            bad.append((path, str(error)))
    if bad:
        names = ", ".join(str(path) for path, _ in bad)
        raise UserError(f"{names}: cannot be decoded ({bad[0][1]}); convert these videos or leave their clips out")


def read_frames(path: Path, count: int, side: int, crop: Crop = WHOLE) -> np.ndarray:
    """Frames spread evenly over a video: the middle ones of ``count`` stretches of equal length.

    EPAM-Net (Abdelkawy, Ali & Farag, Neurocomputing 2025): 16 frames, sampled evenly, cropped, resized to 224 x 224.
    A video that says how to turn or mirror it, like a phone's, is used as it should be shown.

    Args:
        path: a file with one of the endings of ``FORMATS``.
        count: T; a video of fewer frames repeats some.
        side: pixels of a side, out.
        crop: left, top, right and bottom edge of what is kept, as shares of width and height.

    Returns:
        (T, side, side, 3) uint8, red, green, blue.

    Raises:
        UserError: PyAV is missing, or the file holds no frame that can be decoded.
    """
    av = _pyav()
    try:
        total = _count(av, path)
        while total:
            wanted = ((np.arange(count) + 0.5) * total / count).astype(np.int64)
            pictures, seen = _pictures(av, path, wanted, side, crop)
            if pictures.keys() >= set(wanted.tolist()):
                return np.stack([pictures[at] for at in wanted.tolist()])
            total = seen  # the container claims frames that its stream does not have
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise UserError(f"{path}: cannot be decoded ({error}); convert the video or leave the clip out") from error
    raise UserError(f"{path}: holds no picture; convert the video or leave the clip out")


def every_frame(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """All frames of a video as they are to be shown: seconds since the first one, and (H, W, 3) uint8 in RGB.

    Raises:
        UserError: PyAV is missing, or the file cannot be decoded.
    """
    av = _pyav()
    try:
        with _open(av, path) as container:
            stream = container.streams.video[0]
            steady = 1 / float(stream.average_rate or 30)  # of frames without a time
            first: float | None = None
            for number, frame in enumerate(container.decode(stream)):
                seconds = number * steady if frame.time is None else float(frame.time)
                first = seconds if first is None else first
                yield seconds - first, _upright(frame)
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise UserError(f"{path}: cannot be decoded ({error}); convert the video or leave it out") from error


def count_frames(path: Path) -> int:
    """How many frames a file claims to have."""
    return _count(_pyav(), path)


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise UserError("videos: need PyAV; install it with pip install 'ssl-skel[video]'") from error
    return av


def _open(av: Any, path: Path) -> Any:
    # A title in another encoding than UTF-8 is no reason to refuse the frames.
    return av.open(str(path), format=FORMATS[path.suffix.lower()], metadata_errors="ignore")


def _count(av: Any, path: Path) -> int:
    """Frames by the number of packets, which needs no decoding."""
    with _open(av, path) as container:
        return sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))


def _pictures(av: Any, path: Path, wanted: np.ndarray, side: int, crop: Crop) -> tuple[dict[int, np.ndarray], int]:
    """The wanted frames by number, cropped and resized, and how many frames were seen up to the last one wanted."""
    found: dict[int, np.ndarray] = {}
    numbers, seen = set(wanted.tolist()), 0
    with _open(av, path) as container:
        for number, frame in enumerate(container.decode(container.streams.video[0])):
            seen = number + 1
            if number in numbers:
                found[number] = _resized(av, _upright(frame), side, crop)
            if len(found) == len(numbers):
                break
    return found, seen


def _upright(frame: Any) -> np.ndarray:
    """Red, green, blue (H, W, 3) of a frame as it is to be shown, by quarter turns and mirrors.

    A display matrix (QuickTime File Format, "Matrices") sends a point (x, y) to (a x + c y, b x + d y). PyAV's
    ``rotation`` would take a mirror for half a turn.
    """
    picture: np.ndarray = frame.to_ndarray(format="rgb24")
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return picture
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5]
    if abs(int(b)) > abs(int(a)):  # what ran along x runs along y
        picture, a, d = picture.swapaxes(0, 1), c, b
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _resized(av: Any, picture: np.ndarray, side: int, crop: Crop) -> np.ndarray:
    left, top, right, bottom = crop
    kept = picture[_span(top, bottom, picture.shape[0]), _span(left, right, picture.shape[1])]
    whole = av.VideoFrame.from_ndarray(np.ascontiguousarray(kept), format="rgb24")
    resized: np.ndarray = whole.reformat(side, side, interpolation="AREA").to_ndarray(format="rgb24")
    return resized


def _span(low: float, high: float, length: int) -> slice:
    """Pixels between two shares of a length, one at least."""
    start = min(round(low * length), length - 1)
    return slice(start, max(round(high * length), start + 1))
