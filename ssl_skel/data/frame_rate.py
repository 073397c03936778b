"""Frame rates: what recordings say about them, and clips at another rate."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np

from ssl_skel.data.clip import tracked_joints, tracked_persons
from ssl_skel.errors import UserError

_SAME = 2e-3  # relative; 29.97 and 30 are one rate
_ROUNDING = 1e-6  # of frame numbers
_RATES = 1.0, 1000.0  # frames a second that times in seconds give
_GAP = 1.5  # median steps; longer ones are frames left out
_MOST = 100  # new frames for each recorded one; a file that states an absurd rate must not fill the memory


def rate_of_interval(text: str) -> float:
    """The rate that a printed time between frames means; 0, unknown, where it is not a time.

    Such times are rounded or cut off: 0.033333 is a thirtieth of a second. A whole rate is taken where it agrees with
    all that was printed.

    >>> rate_of_interval("0.033333"), rate_of_interval("0.0083"), rate_of_interval("0.25"), rate_of_interval("0")
    (30.0, 120.0, 4.0, 0.0)
    """
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    if not (math.isfinite(seconds) and seconds > 0 and math.isfinite(1 / seconds)):
        return 0.0
    _, _, decimals = text.strip().lower().partition("e")[0].partition(".")
    whole = float(round(1 / seconds))
    printed = 0.0 if "e" in text.lower() else 10.0 ** -len(decimals)
    return whole if whole and abs(1 / whole - seconds) < printed else 1 / seconds


def rate_of_times(times: np.ndarray) -> float:
    """The rate that frames' times (T,) in seconds mean; 0, unknown, where they are none.

    Steps of more than 1.5 median ones are frames left out, and do not count.

    >>> rate_of_times(np.array([0.0, 0.04, 0.08, 0.2])), rate_of_times(np.array([1.0]))
    (25.0, 0.0)
    """
    steps = np.diff(np.unique(times[np.isfinite(times)]))
    if not steps.size:
        return 0.0
    rate = 1 / float(steps[steps < _GAP * np.median(steps)].mean())
    return round(rate, 3) if _RATES[0] <= rate <= _RATES[1] else 0.0


def same_rate(one: float, other: float) -> bool:
    """Whether two known rates are the same, up to 0.2 %."""
    return abs(one - other) <= _SAME * other


def resample(joints: np.ndarray, fps: float, rate: float) -> np.ndarray:
    """A clip at another rate: linear in time between the frames in which a joint was tracked.

    A joint is tracked in a new frame if it was in one of the two recorded frames around it; so gaps stay gaps.

    Args:
        joints: (M, T, V, C), NaN or infinite where not tracked.
        fps: frames a second of the recording.
        rate: frames a second wanted.

    Returns:
        (M, T', V, C): the first new frame is the first recorded one, the last is no later than the last.

    Raises:
        UserError: the wanted rate is not positive, that of the recording is unknown or less than a hundredth of it, or
            no tracked joint is left.
    """
    if not (math.isfinite(rate) and rate > 0):
        raise UserError(f"rate: must be above 0, got {rate:g}")
    if not fps:
        raise UserError("rate: its own frame rate is unknown; give fps=..., or leave --rate out")
    if same_rate(fps, rate):
        return joints
    if rate > _MOST * fps:
        raise UserError(
            f"rate: {rate:.4g} is over {_MOST} times its own {fps:.4g} frames a second; "
            "give its true rate as fps=..., or a lower --rate"
        )
    last = joints.shape[1] - 1
    at = np.minimum(np.arange(int(last * rate / fps + _ROUNDING) + 1) * (fps / rate), last)
    earlier, later = np.floor(at + _ROUNDING).astype(int), np.ceil(at - _ROUNDING).astype(int)
    tracked = tracked_joints(joints)
    time = np.arange(last + 1)[:, None]
    before = np.maximum.accumulate(np.where(tracked, time, -1), 1)[:, earlier]
    after = np.flip(np.minimum.accumulate(np.flip(np.where(tracked, time, last + 1), 1), 1), 1)[:, later]
    before, after = np.where(before < 0, after, before), np.where(after > last, before, after)
    share = np.clip((at[:, None] - before) / np.maximum(after - before, 1), 0, 1)[..., None]
    start, stop = (
        np.take_along_axis(joints, np.clip(frames, 0, last)[..., None], 1).astype(np.float64)
        for frames in (before, after)
    )
    with np.errstate(invalid="ignore"):  # never tracked
        found = start + share * (stop - start)
    found[~(tracked[:, earlier] | tracked[:, later])] = np.nan
    if not tracked_persons(found).any():
        raise UserError(f"rate: no tracked joint is left at {rate:g} frames a second; use a higher rate")
    return found.astype(joints.dtype)


def common_rate(fps: np.ndarray) -> float:
    """The rate of all clips (N,); 0 where it is unknown of one, or they have several."""
    rates = np.unique(fps).tolist()
    return float(fps[0]) if rates and all(rate and same_rate(rate, fps[0]) for rate in rates) else 0.0


def to_frames(length: str | int, fps: float, where: str) -> int:
    """A number of frames, as it is or in seconds: 60, or 2s.

    Args:
        length: as given.
        fps: frames a second; 0: unknown.
        where: it is given, for the message.

    Raises:
        UserError: it is neither, or in seconds, and the rate is unknown.
    """
    given = re.fullmatch(r"(\d+)|(\d*\.?\d+)s", str(length))
    if not given:
        raise UserError(f"{where} {length}: must be in frames or in seconds, as in 60 or 2s")
    if given[1]:
        return int(given[1])
    if not fps:
        raise UserError(f"{where} {length}: seconds need one known frame rate for all clips; give frames, as in 60")
    return round(float(given[2]) * fps)


def count_rates(fps: np.ndarray) -> dict[str, int]:
    """How many clips have each rate, as text, the most frequent first; ``unknown`` where it is 0."""
    counts: Counter[str] = Counter()
    for rate, clips in zip(*np.unique_counts(fps), strict=True):
        counts[f"{rate:.5g}" if rate else "unknown"] += int(clips)
    return dict(counts.most_common())
