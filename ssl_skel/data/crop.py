"""Which frames of a clip a draw takes, as options of configs."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field


def check_crop(shares: tuple[float, float]) -> tuple[float, float]:
    """The shares, if they are a range within (0, 1].

    Raises:
        ValueError: they are not.
    """
    low, high = shares
    if not 0 < low <= high <= 1:
        raise ValueError(f"needs 0 < low <= high <= 1, got [{low}, {high}]")
    return shares


NumFrames = Annotated[int, Field(ge=1, le=4096)]
"""T, frames that a draw is resampled to; the upper limit is far beyond what any network is used with."""

Crop = Annotated[tuple[float, float], AfterValidator(check_crop)]
"""Smallest and largest share of a clip that is cropped."""

Sampling = Literal["crop", "sorted"]
"""crop: a run of frames, resampled. sorted: frames of the whole clip, drawn at random and put in order."""
SAMPLINGS: tuple[str, ...] = get_args(Sampling)
