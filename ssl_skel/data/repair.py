"""Repairs of a raw clip before it is normalised, each recorded so that it can be taken back.

``tracks``: persons whose ids were exchanged, or who came back under another id, get their own place again.
``jumps``: a joint that leaps away and back for a few frames counts as not tracked.
``gaps``: short gaps are crossed by a smooth curve (what stays open, normalisation fills with straight lines).

Those requested are done in this order and change the clip only; the raw files stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pydantic import Field

from ssl_skel.config import Section
from ssl_skel.data.audit.clips import spikes
from ssl_skel.data.clip import tracked_joints
from ssl_skel.names import unknown

STEPS = ("tracks", "jumps", "gaps")


class RepairConfig(Section):
    """What is repaired, and when; metres and frames."""

    steps: tuple[str, ...] = ()
    """Which of ``STEPS`` are done."""

    gap_frames: int = Field(10, ge=1)
    """Longest gap that is crossed by a curve: a third of a second at 30 frames a second. Within it a limb does one
    movement at most; in longer ones a curve would invent motion."""

    jump: float = Field(0.5, gt=0)
    """Metres that a joint leaps away from the line between its places before and after; the audit's ``spike``."""

    jump_frames: int = Field(3, ge=1)
    """Longest such leap, frames; the audit's ``spike_frames``."""

    track_gain: float = Field(0.2, gt=0)
    """Metres that persons must move less, all together, for ids to be changed. Less is within a sensor's error."""

    track_new: float = Field(0.5, gt=0)
    """Metres, averaged over joints, up to which somebody who appears is taken for somebody who was lost."""


@dataclass(frozen=True)
class Change:
    """One repair; persons, joints and frames count from 0, ``last`` belongs to it.

    Attributes:
        step: of ``STEPS``.
        first, last: frames.
        person, joint: where; -1 in ``tracks``, which concerns all.
        order: for ``tracks``: person m of these frames was person ``order[m]`` before.
        was: for ``jumps``: the coordinates that were removed, one row per frame. Gaps had none.
    """

    step: str
    first: int
    last: int
    person: int = -1
    joint: int = -1
    order: tuple[int, ...] = ()
    was: tuple[tuple[float, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data without what is empty, for JSON."""
        return {key: value for key, value in asdict(self).items() if value not in ((), -1)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Change:
        """Reads back what ``to_dict`` gave, also by way of JSON."""
        order, was = tuple(data.get("order", ())), tuple(tuple(row) for row in data.get("was", ()))
        return cls(**{**data, "order": order, "was": was})


def parse_steps(text: str) -> tuple[str, ...]:
    """Steps that a user wrote with commas between, in the order they are done.

    Raises:
        UserError: a word is not a step.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in STEPS:
            raise unknown("repair", word, STEPS, where="--repair")
    return tuple(step for step in STEPS if step in words)


def repair(joints: np.ndarray, config: RepairConfig) -> tuple[np.ndarray, list[Change]]:
    """Repair one clip.

    Args:
        joints: (M, T, V, C) metres, NaN where not tracked; not changed.
        config: what to do.

    Returns:
        (M, T, V, C) of the same type, and what was done, in order; ``undo`` takes it back.
    """
    joints = joints.copy()
    changes: list[Change] = []
    for step, run in (("tracks", _tracks), ("jumps", _jumps), ("gaps", _gaps)):
        if step in config.steps:
            changes += run(joints, config)
    return joints, changes


def undo(joints: np.ndarray, changes: Sequence[Change]) -> np.ndarray:
    """The clip (M, T, V, C) as it was before ``repair``, to the digit where nothing was tracked but NaN."""
    joints = joints.copy()
    for change in reversed(changes):
        frames = slice(change.first, change.last + 1)
        if change.step == "tracks":
            before = joints[:, frames].copy()
            joints[list(change.order), frames] = before
        else:
            joints[change.person, frames, change.joint] = change.was if change.step == "jumps" else np.nan
    return joints


def _tracks(joints: np.ndarray, config: RepairConfig) -> Iterator[Change]:
    """Follow each person; exchange ids where that makes everybody move less."""
    persons, frames = joints.shape[:2]
    tracked = tracked_joints(joints) & (joints != 0).any(-1)
    last: list[np.ndarray | None] = [None] * persons  # where each person's joints were seen last
    from scipy.optimize import linear_sum_assignment  # slow to import

    orders: list[tuple[int, ...]] = []
    for t in range(frames):
        cost = np.full((persons, persons), 0.0)  # rows: who this might be; columns: ids in this frame
        for person in range(persons):
            for here in np.flatnonzero(tracked[:, t].any(1)):
                cost[person, here] = _apart(last[person], joints[here, t], tracked[here, t], config.track_new)
        _, best = linear_sum_assignment(cost)
        same = np.trace(cost)
        order = tuple(best.tolist()) if same - cost[range(persons), best].sum() > config.track_gain else ()
        orders.append(order)
        for person, here in enumerate(order or range(persons)):
            seen = tracked[here, t]
            if seen.any():
                pose = (
                    joints[here, t] if last[person] is None else np.where(seen[:, None], joints[here, t], last[person])
                )
                last[person] = np.where(np.isfinite(pose), pose, np.nan)
    for first, stop, order in _runs(orders):
        if order:
            joints[:, first:stop] = joints[list(order), first:stop]
            yield Change("tracks", first, stop - 1, order=order)


def _apart(last: np.ndarray | None, pose: np.ndarray, tracked: np.ndarray, new: float) -> float:
    """How far a pose (V, C) is from where a person was seen last; ``new`` at most, and for who was never seen."""
    if last is None:
        return new
    both = tracked & np.isfinite(last).all(-1)
    return min(new, float(np.linalg.norm(pose[both] - last[both], axis=-1).mean())) if both.any() else new


def _runs(values: Sequence[Any]) -> Iterator[tuple[int, int, Any]]:
    """(first, stop, value) of each run of equal values."""
    first = 0
    for stop in range(1, len(values) + 1):
        if stop == len(values) or values[stop] != values[first]:
            yield first, stop, values[first]
            first = stop


def _jumps(joints: np.ndarray, config: RepairConfig) -> Iterator[Change]:
    """Count leaps as not tracked."""
    with np.errstate(invalid="ignore"):  # infinity, too, says: not tracked
        found = spikes(joints, config.jump, config.jump_frames) & tracked_joints(joints)
    for person, joint, first, stop in _stretches(found):
        was = joints[person, first:stop, joint].copy()
        joints[person, first:stop, joint] = np.nan
        yield Change("jumps", first, stop - 1, person, joint, was=tuple(map(tuple, was.tolist())))


def _gaps(joints: np.ndarray, config: RepairConfig) -> Iterator[Change]:
    """Cross short gaps by a curve through all that was tracked; it never leaves the range of the gap's two ends."""
    from scipy.interpolate import PchipInterpolator  # slow to import

    tracked = tracked_joints(joints)
    frames = joints.shape[1]
    for person, joint, first, stop in _stretches(~tracked):
        if first == 0 or stop == frames or stop - first > config.gap_frames:
            continue
        known = np.flatnonzero(tracked[person, :, joint])
        curve = PchipInterpolator(known, joints[person, known, joint].astype(np.float64), axis=0)
        joints[person, first:stop, joint] = curve(np.arange(first, stop))
        yield Change("gaps", first, stop - 1, person, joint)


def _stretches(mask: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """(person, joint, first, stop) of each run of True along the frames of (M, T, V)."""
    for person, joint in np.argwhere(mask.any(1)).tolist():
        edges = np.flatnonzero(np.diff(np.concatenate([[False], mask[person, :, joint], [False]]).astype(int)))
        for first, stop in edges.reshape(-1, 2).tolist():
            yield person, joint, first, stop
