"""What readers of pose estimators' files share: JSON, scores, and persons followed by where they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from ssl_skel.data.readers.base import ReaderOptions
from ssl_skel.errors import UserError


class TrackedOptions(ReaderOptions):
    """Options of formats whose sensor or estimator identifies persons."""

    min_seen: float = Field(default=0.1, ge=0.0, le=1.0)
    """A person seen in a smaller share than this of the frames of the person seen most counts as a false detection and
    is left out; 0 keeps all."""


class EstimatorOptions(TrackedOptions):
    """Options of an estimator's output."""

    min_score: float = Field(default=0.0, ge=0.0, le=1.0)
    """A joint whose score (visibility, confidence) is lower counts as not tracked."""

    persons: int = Field(default=2, ge=1)
    """How many persons of a recording are kept: those seen in most frames."""


class PlaneOptions(EstimatorOptions):
    """The same for 2D."""

    score: Literal["drop", "keep"] = "drop"
    """keep: a joint's score is its third channel, 0 where it was not tracked."""


def read_json(file: Path) -> Any:
    """The contents of a JSON file.

    Raises:
        UserError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(file.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: is damaged, not JSON; write it again") from error


def follow(
    frames: Sequence[np.ndarray], most: int, coordinates: int | None = None, *, min_seen: float = 0.0
) -> tuple[np.ndarray, dict[str, int]]:
    """Persons found frame by frame, identified by place.

    In each frame the nearest pair of a known person (where last seen) and a found one is matched first; a person left
    over is new. Paper silent: estimators that give no identities leave this to their users.

    Args:
        frames: at least one; for each (P, V, C), P persons in no order, NaN where a joint was not found.
        most: how many persons to keep, those seen in most frames; among equals the earlier.
        coordinates: channels that hold a place; default: all.
        min_seen: as in ``TrackedOptions``.

    Returns:
        (M, T, V, C) float32, M at most ``most`` and at least 1, NaN where not seen; and how many persons were left out,
        by kind of ``ssl_skel.data.dropped``.
    """
    tracks: list[dict[int, np.ndarray]] = []
    last: list[np.ndarray] = []
    for t, found in enumerate(frames):
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and far from nobody
            found = found.astype(np.float32).astype(np.float64)
        seen = [person for person in found if np.isfinite(person).all(-1).any()]
        far = np.array(
            [[_distance(person[:, :coordinates], place[:, :coordinates]) for place in last] for person in seen]
        )
        far = far.reshape(len(seen), len(last))
        left = set(range(len(seen)))
        while left and np.isfinite(far).any():
            who, track = divmod(int(far.argmin()), len(last))
            tracks[track][t] = last[track] = seen[who]
            left.remove(who)
            far[who], far[:, track] = np.inf, np.inf
        for who in sorted(left):
            tracks.append({t: seen[who]})
            last.append(seen[who])
    longest = max(map(len, tracks), default=0)
    lasting = [track for track, seen in enumerate(tracks) if len(seen) >= min_seen * longest]
    dropped = {"ghosts": len(tracks) - len(lasting), "surplus": max(len(lasting) - most, 0)}
    kept = sorted(sorted(lasting, key=lambda track: (-len(tracks[track]), track))[:most])
    joined = np.full((max(len(kept), 1), len(frames), *frames[0].shape[1:]), np.nan, np.float32)
    for person, track in enumerate(kept):
        for t, joints in tracks[track].items():
            joined[person, t] = joints
    return joined, {kind: count for kind, count in dropped.items() if count}


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance of the joints that both have; far, but not infinitely so, where they have none in common."""
    both = np.isfinite(one).all(-1) & np.isfinite(other).all(-1)
    return float(np.linalg.norm(one[both] - other[both], axis=-1).mean()) if both.any() else 1e30
