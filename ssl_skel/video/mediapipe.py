"""MediaPipe's pose landmarker (Bazarevsky et al., "BlazePose", CVPR Workshops 2020; GHUM for world landmarks).

The package does not include a model. A model is a ``.task`` file, which the user gets from MediaPipe's page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.errors import UserError

MODELS = tuple(f"pose_landmarker_{size}.task" for size in ("heavy", "full", "lite"))
"""Names of MediaPipe's models, the most accurate first."""
PLACE = Path("~/.cache/ssl-skel")
"""Where a model is searched for, after the current folder."""


def find_model(given: Path | None) -> Path:
    """The file of the model.

    Args:
        given: by the user; None: the best one in the current folder or in ``PLACE``.

    Raises:
        UserError: there is none; says which file to put where.
    """
    if given is not None:
        if not given.is_file():
            raise UserError(f"--model: {given}: no such file; give a model of MediaPipe, such as {MODELS[1]}")
        return given
    places = (Path(), PLACE.expanduser())
    found = next((folder / name for folder in places for name in MODELS if (folder / name).is_file()), None)
    if found is None:
        raise UserError(
            f"--model: no pose model here or in {PLACE}; download {MODELS[1]} from MediaPipe's guide of the Pose "
            f"Landmarker, put it there, or name it with --model FILE"
        )
    return found


class MediaPipeLandmarker:
    """World landmarks of the people in a video, tracked from frame to frame.

    Args:
        landmarker: MediaPipe's own, in video mode.
    """

    def __init__(self, landmarker: Any) -> None:
        self._landmarker, self._last = landmarker, -1

    def find(self, picture: np.ndarray, seconds: float) -> Sequence[np.ndarray]:
        """See ``Landmarker``."""
        import mediapipe

        self._last = max(self._last + 1, round(1000 * seconds))  # MediaPipe needs increasing whole milliseconds
        image = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(picture))
        people = self._landmarker.detect_for_video(image, self._last).pose_world_landmarks
        return [np.array([[one.x, one.y, one.z, one.visibility or 0.0] for one in person]) for person in people]


@contextmanager
def open_mediapipe(model: Path, people: int = 1) -> Iterator[MediaPipeLandmarker]:
    """A landmarker for one video.

    Args:
        model: a ``.task`` file.
        people: most at once.

    Raises:
        UserError: MediaPipe is not installed, or refuses the model.
    """
    try:
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise UserError("extract: needs MediaPipe; install it with pip install 'ssl-skel[pose]'") from error
    options = vision.PoseLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        running_mode=vision.RunningMode.VIDEO,
        num_poses=people,
    )
    try:
        landmarker = vision.PoseLandmarker.create_from_options(options)
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{model}: MediaPipe refuses it ({reason}); give a pose landmarker, such as {MODELS[1]}"
        ) from error
    with landmarker:
        yield MediaPipeLandmarker(landmarker)
