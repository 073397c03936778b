"""From videos to landmarks: one file of JSON lines per video, as ``ssl-skel convert mediapipe`` reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ssl_skel.errors import UserError
from ssl_skel.files.atomic import write_text
from ssl_skel.progress import progress
from ssl_skel.video.frames import FORMATS, check_videos, count_frames, every_frame

JOINTS, NUMBERS = 33, 4
_DECIMALS = 5  # a hundredth of a millimetre


class Landmarker(Protocol):
    """Finds people in the frames of one video, shown to it in order."""

    def find(self, picture: np.ndarray, seconds: float) -> Sequence[np.ndarray]:
        """World landmarks of each person, (33, 4) in MediaPipe's order: x, y, z in metres and visibility.

        Args:
            picture: (H, W, 3) uint8, red, green, blue.
            seconds: since the beginning of the video.
        """


OpenLandmarker = Callable[[], AbstractContextManager[Landmarker]]
"""Makes a landmarker for one video; what it knows about earlier frames ends with the video."""


class Extracted(NamedTuple):
    """The result for one video.

    Attributes:
        file: that was written.
        frames: of the video.
        seen: how many of them show somebody.
        people: most at once.
    """

    file: Path
    frames: int
    seen: int
    people: int


def extract(
    videos: Sequence[Path], output: Path, open_landmarker: OpenLandmarker, *, overwrite: bool = False
) -> tuple[list[Extracted], list[Path]]:
    """Write the landmarks of videos.

    A line is a frame: ``{"time": 0.04, "pose_world_landmarks": [[[x, y, z, visibility], … 33], … people]}``, with the
    time in seconds, by which the reader knows the frame rate. Folders below a given folder are kept, as classes.

    Args:
        videos: files, or folders that hold them at any depth.
        output: folder, made where it is missing. Existing files are kept, so that the same call continues after a stop.
        open_landmarker: for each video.
        overwrite: extract existing ones again.

    Returns:
        The results, and the files that existed already.

    Raises:
        UserError: no video there, two that would become one file, or one that cannot be decoded.
    """
    targets = _targets(videos, output)
    kept = [] if overwrite else [target for target in targets.values() if target.exists()]
    todo = {video: target for video, target in targets.items() if target not in kept}
    check_videos(list(todo))
    return [_extract(video, target, open_landmarker) for video, target in todo.items()], kept


def _targets(videos: Sequence[Path], output: Path) -> dict[Path, Path]:
    """Each video's file."""
    found: dict[Path, Path] = {}
    for given in videos:
        inside = sorted(path for path in given.rglob("*") if path.is_file()) if given.is_dir() else [given]
        files = [path for path in inside if path.suffix.lower() in FORMATS]
        if not files or not given.exists():
            endings = ", ".join(FORMATS)
            raise UserError(f"{given}: is not a video, and no folder with one; endings are {endings}")
        for path in files:
            below = path.relative_to(given) if given.is_dir() else Path(path.name)
            target = output / below.with_name(f"{below.stem}.jsonl")
            twice = next((other for other, file in found.items() if file == target and other != path), None)
            if twice:
                raise UserError(f"{path}: would be written to {target}, as {twice}; rename one")
            found[path] = target
    return found


def _extract(video: Path, target: Path, open_landmarker: OpenLandmarker) -> Extracted:
    lines, seen, most = [], 0, 0
    with open_landmarker() as landmarker:
        frames = progress(every_frame(video), video.name, total=count_frames(video), unit="frame", leave=False)
        for seconds, picture in frames:
            people = [np.asarray(person).round(_DECIMALS).tolist() for person in landmarker.find(picture, seconds)]
            lines.append(json.dumps({"time": round(seconds, 6), "pose_world_landmarks": people}))
            seen, most = seen + bool(people), max(most, len(people))
    write_text(target, "\n".join(lines) + "\n")
    return Extracted(target, len(lines), seen, most)
