"""Two coordinates in shares of an image's width and height, as many estimators write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from ssl_skel.data.readers.description import Description
from ssl_skel.data.readers.estimators import TrackedOptions
from ssl_skel.errors import UserError


class ArrayDescription(Description, TrackedOptions):
    """Options of arrays and tables, which may hold two coordinates."""

    aspect: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    """2D: x is multiplied by it. Width of the images divided by their height, 1.778 for 1920 x 1080, where x and y both
    run from 0 to 1; 1 where both are in heights already. 0: unknown; left as it is, and ``convert`` says so."""


def in_heights(joints: np.ndarray, description: ArrayDescription, file: Path) -> tuple[np.ndarray, dict[str, int]]:
    """Shares of an image's width and height to heights of the image.

    Args:
        joints: (..., C) as recorded, NaN where not tracked.
        description: of the recordings.
        file: that holds them, for the message.

    Returns:
        (..., C) with x in heights where ``aspect`` is given; and 1 for ``shares`` (see ``ssl_skel.data.dropped``) where
        it is not, and all x and y lie between 0 and 1.

    Raises:
        UserError: ``aspect`` is given for three coordinates.
    """
    aspect = description.aspect
    if joints.shape[-1] != 2:
        if aspect:
            raise UserError(f"{file}: aspect: needs two coordinates; the joints have {joints.shape[-1]}")
        return joints, {}
    if aspect:
        return joints * np.array([aspect, 1]), {}
    known = joints[np.isfinite(joints)]
    shares = known.size > 0 and known.min() >= 0 and known.max() <= 1 and known.max() > 0
    named = description.scale != 1 or description.units != "m"
    return joints, {"shares": 1} if shares and not named else {}
