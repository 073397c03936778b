"""What may be wrong with one clip. Pure functions of its joints; persons and joints count from 0, frames too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssl_skel.data.audit.limits import Limits
from ssl_skel.layouts import SkeletonLayout

_MEAN_BONE = 0.22  # metres, of the built-in layouts 0.21-0.29; gives other units a length
_MOVING = 1e-4  # metres from frame to frame; below, a smoothing tracker at rest looks like a straight line
_TORSO, _LEGS = "torso", ("left_leg", "right_leg")
_FEET = (("left_ankle", "left_foot"), ("right_ankle", "right_foot"))


@dataclass(frozen=True)
class Finding:
    """One thing about one clip.

    Attributes:
        kind: an entry of ``KINDS``.
        value: how bad, in the unit of its kind.
        where: person, joint and frame of the worst place, in words.
    """

    kind: str
    value: float
    where: str = ""


class Kind(NamedTuple):
    """What a kind of findings means, and the unit of its values; "" where there is nothing to measure."""

    meaning: str
    unit: str = ""

    @property
    def sentence(self) -> str:
        """Meaning and unit."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.meaning[0].upper()}{self.meaning[1:]}{unit}."


KINDS: dict[str, Kind] = {
    "one_frame": Kind("a single frame; nothing moves in it"),
    "still": Kind("nothing moves at all", "frames"),
    "frozen": Kind("a joint stays in exactly one place while others move", "frames"),
    "filled": Kind("a joint moves straight at even speed, as in filled gaps", "frames"),
    "missing": Kind("a joint is at its parent's place throughout, as if never tracked", "joints"),
    "jump": Kind("the whole body jumps between two frames", "metres"),
    "spike": Kind("a joint leaps away and back", "metres"),
    "bone_length_variance": Kind("a bone changes its length", "share of the frames"),
    "swap": Kind("left and right limbs change places between two frames", "metres"),
    "mirrored": Kind("left and right are exchanged throughout", "cosine of feet and heading"),
    "persons_swap": Kind("two persons change places between two frames", "metres"),
    "duplicate_person": Kind("two persons are one body", "metres between them"),
    "size": Kind("not of human size, along the bones from head to foot", "metres"),
}


class Anatomy:
    """What a layout says about bodies, and how long a unit is.

    Args:
        layout: joints of the clips.
        channels: 2 or 3 coordinates.
        metres: length of one unit of the coordinates; ``unit_length`` guesses it where it is not 1.
        frame_centred: each frame was centred, so that the centre joint never moves.
        half: coordinates were rounded to half precision, so that what is even to the last digit proves nothing.
    """

    def __init__(
        self,
        layout: SkeletonLayout,
        channels: int = 3,
        metres: float = 1.0,
        *,
        frame_centred: bool = False,
        half: bool = False,
    ) -> None:
        self.layout, self.metres, self.half = layout, metres, half
        self.parents = np.array(layout.parents)
        self.children = np.array([child for child, _ in layout.bones], int)
        self.free = np.array([j for j in range(layout.num_joints) if not (frame_centred and j == layout.centre)], int)
        self.limbs = [
            (name, np.array(group), np.array([layout.mirror[j] for j in group]))
            for name, group in zip(layout.body_names, layout.body, strict=True)
            if min(group) < min(layout.mirror[j] for j in group) and not set(group) & {layout.mirror[j] for j in group}
        ]
        self.spans = _spans(layout) if channels == 3 else np.zeros((0, layout.num_joints))
        number = {joint: index for index, joint in enumerate(layout.joints)}
        whole = channels == 3 and all(joint in number for pair in _FEET for joint in pair)
        self.feet = [(number[ankle], number[foot]) for ankle, foot in _FEET] if whole else []


def unit_length(mean_bones: np.ndarray) -> float:
    """Metres in one unit of a store that does not count in metres: its median clip is taken for an adult.

    Args:
        mean_bones: (n,) mean bone length of some clips, in the store's unit.
    """
    median = float(np.median(mean_bones)) if len(mean_bones) else 0.0
    return _MEAN_BONE / median if median > 1e-9 else 1.0


def mean_bone(joints: np.ndarray, layout: SkeletonLayout) -> float:
    """Mean bone length of the first person, median over frames, in the unit of the joints (M, T, V, C)."""
    bones = _length(joints[0] - joints[0][:, list(layout.parents)])
    return float(np.median(bones.sum(-1))) / max(len(layout.bones), 1)


def inspect_clip(joints: np.ndarray, anatomy: Anatomy, limits: Limits) -> list[Finding]:
    """All findings about one clip, at most one per kind: the worst.

    Args:
        joints: (M, T, V, C) as stored, nothing missing.
        anatomy: of the store.
        limits: thresholds.
    """
    joints = np.asarray(joints, np.float32) * np.float32(anatomy.metres)
    digit = 4 * float(np.spacing(np.abs(joints).max()))  # what rounding to float32 does to a difference
    bones = _length(joints - joints[:, :, anatomy.parents])
    findings = [*_size(bones, anatomy, limits), *_missing(bones, anatomy, digit)]
    if joints.shape[1] == 1:
        return [Finding("one_frame", 1.0), *findings]
    moves = np.diff(joints, axis=1)
    steps = _length(moves)
    if steps.max() <= digit:
        return [Finding("still", float(joints.shape[1])), *findings]
    if not anatomy.half:
        findings += _halted(moves, steps, anatomy, limits, digit)
    findings += _jump(steps, limits)
    findings += _spike(joints, steps, anatomy, limits)
    findings += _bone_length(bones, anatomy, limits)
    findings += _swap(joints, steps, anatomy, limits)
    findings += _mirrored(joints, anatomy, limits)
    return [*findings, *_persons(joints, limits)]


def spikes(joints: np.ndarray, limit: float, longest: int) -> np.ndarray:
    """Where a joint leaps away and back: (M, T, V) bool.

    In each of up to ``longest`` frames it lies further than ``limit`` from the straight line between its places just
    before and just after, and these lie nearer together than that.

    Args:
        joints: (M, T, V, C); NaN where not tracked is not a spike.
        limit: in the unit of the joints.
        longest: frames.
    """
    frames = joints.shape[1]
    out = np.zeros(joints.shape[:3], bool)
    for length in range(1, min(longest, frames - 2) + 1):
        before, after = joints[:, : frames - length - 1], joints[:, length + 1 :]
        between = after - before
        leap = _length(between) < limit
        for t in range(1, length + 1):
            if not leap.any():
                break
            line = before + between * np.float32(t / (length + 1))
            leap &= _length(joints[:, t : t + before.shape[1]] - line) > limit
        for t in range(1, length + 1):
            out[:, t : t + before.shape[1]] |= leap
    return out


def exchanged(a: np.ndarray, b: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Where two bodies, or two limbs, change places from one frame to the next.

    Args:
        a, b: (..., T, J, C), joint for joint.
        limit: how far the two must seem to move together, averaged over joints.

    Returns:
        (..., T - 1) bool and how far they seem to move.
    """

    def apart(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        distance: np.ndarray = _length(after[..., 1:, :, :] - before[..., :-1, :, :]).mean(-1)
        return distance

    kept = apart(a, a) + apart(b, b)
    suspect = kept > limit
    if not suspect.any():
        return suspect, kept
    return suspect & (kept > 2 * (apart(a, b) + apart(b, a))), kept


def _spans(layout: SkeletonLayout) -> np.ndarray:
    """(n, V) 0/1: bones between a torso's joint and a leg's, for layouts that have them; the longest is the stature."""
    groups = dict(zip(layout.body_names, layout.body, strict=True))
    if _TORSO not in groups or not all(leg in groups for leg in _LEGS):
        return np.zeros((0, layout.num_joints))
    chains = np.eye(layout.num_joints, dtype=bool)
    for joint in range(layout.num_joints):
        at = joint
        while layout.parents[at] != at:
            at = layout.parents[at]
            chains[joint, at] = True
    rows = [chains[a] ^ chains[b] for a in groups[_TORSO] for leg in _LEGS for b in groups[leg]]
    return np.array(rows, np.float32)


def _length(vectors: np.ndarray) -> np.ndarray:
    """Euclidean length along the last axis; twice as fast as NumPy's."""
    length: np.ndarray = np.sqrt(np.einsum("...c,...c->...", vectors, vectors))
    return length


def _size(bones: np.ndarray, anatomy: Anatomy, limits: Limits) -> Iterator[Finding]:
    if not len(anatomy.spans):
        return
    some = bones[:, :: max(1, bones.shape[1] // 32)]  # a median needs no more frames
    stature = (np.median(some, axis=1) @ anatomy.spans.T).max(1)
    outside = np.maximum(limits.shortest / np.maximum(stature, 1e-9), stature / limits.tallest)
    person = int(outside.argmax())
    if outside[person] > 1:
        yield Finding("size", float(stature[person]), f"person {person}")


def _missing(bones: np.ndarray, anatomy: Anatomy, digit: float) -> Iterator[Finding]:
    on = bones.max(1) <= digit
    places = [(person, joint) for person in range(len(on)) for joint in anatomy.children if on[person, joint]]
    if places:
        names = [f"person {person} {anatomy.layout.joints[joint]}" for person, joint in places]
        yield Finding("missing", float(len(places)), ", ".join(names))


def _halted(moves: np.ndarray, steps: np.ndarray, anatomy: Anatomy, limits: Limits, digit: float) -> Iterator[Finding]:
    halt = steps <= digit
    longest = _longest_run(halt[:, :, anatomy.free])
    if longest.max() >= limits.still_frames:
        yield Finding("frozen", float(longest.max()), _place(longest, anatomy, anatomy.free))
    if moves.shape[1] > limits.straight_frames:
        even = _length(np.diff(moves, axis=1)) <= 2 * digit
        longest = _longest_run(even & (steps[:, 1:] > _MOVING))
        if longest.max() >= limits.straight_frames:
            yield Finding("filled", float(longest.max()), _place(longest, anatomy, np.arange(steps.shape[2])))


def _longest_run(mask: np.ndarray) -> np.ndarray:
    """(M, V) length of the longest run of True along the frames of (M, T, V)."""
    best = run = np.zeros(mask.shape[::2], int)
    if mask.any():
        for frame in np.moveaxis(mask, 1, 0):
            run = (run + 1) * frame
            best = np.maximum(best, run)
    return best


def _place(value: np.ndarray, anatomy: Anatomy, joints: np.ndarray) -> str:
    person, column = np.unravel_index(int(value.argmax()), value.shape)
    return f"person {person} {anatomy.layout.joints[joints[column]]}"


def _jump(steps: np.ndarray, limits: Limits) -> Iterator[Finding]:
    mean = steps.mean(2)
    person, frame = np.unravel_index(int(mean.argmax()), mean.shape)
    if mean[person, frame] > limits.jump:
        yield Finding("jump", float(mean[person, frame]), f"person {person} frame {frame + 1}")


def _spike(joints: np.ndarray, steps: np.ndarray, anatomy: Anatomy, limits: Limits) -> Iterator[Finding]:
    fast = np.flatnonzero((steps > limits.spike / 2).any((0, 1)))  # a spike starts with no smaller step
    if not len(fast):
        return
    found = spikes(joints[:, :, fast], limits.spike, limits.spike_frames)
    if found.any():
        onset = np.where(found[:, 1:-1], steps[:, :-1, fast], 0)
        person, frame, joint = np.unravel_index(int(onset.argmax()), onset.shape)
        where = f"person {person} frame {frame + 1} {anatomy.layout.joints[fast[joint]]}"
        yield Finding("spike", float(onset.max()), where)


def _bone_length(bones: np.ndarray, anatomy: Anatomy, limits: Limits) -> Iterator[Finding]:
    change = bones.max(1) - bones.min(1)
    some = np.flatnonzero((change > limits.bone_length_metres).any(0))
    if not len(some):
        return
    chosen = bones[:, :, some]
    median = np.median(chosen, axis=1, keepdims=True)
    share = (np.abs(chosen - median) > np.maximum(limits.bone_length * median, limits.bone_length_metres)).mean(1)
    if share.max() > limits.bone_length_frames:
        yield Finding("bone_length_variance", float(share.max()), _place(share, anatomy, some))


def _swap(joints: np.ndarray, steps: np.ndarray, anatomy: Anatomy, limits: Limits) -> Iterator[Finding]:
    if steps.max() <= limits.swap / 2:  # as are both limbs' mean steps
        return
    worst: Finding | None = None
    for name, group, mirror in anatomy.limbs:
        far = steps[:, :, group].mean(2) + steps[:, :, mirror].mean(2) > limits.swap
        if not far.any():
            continue
        swapped, moved = exchanged(joints[:, :, group], joints[:, :, mirror], limits.swap)
        if swapped.any():
            value = np.where(swapped, moved, 0)
            person, frame = np.unravel_index(int(value.argmax()), value.shape)
            if worst is None or value.max() > worst.value:
                worst = Finding("swap", float(value.max()), f"person {person} frame {frame + 1} {name}")
    if worst is not None:
        yield worst


def _mirrored(joints: np.ndarray, anatomy: Anatomy, limits: Limits) -> Iterator[Finding]:
    if not anatomy.feet:
        return
    left, right = anatomy.layout.across
    toes = sum(joints[:, :, foot] - joints[:, :, ankle] for ankle, foot in anatomy.feet)[..., [0, 2]]
    across = joints[:, :, right] - joints[:, :, left]
    ahead = np.stack([across[..., 2], -across[..., 0]], -1)  # who faces a Kinect has left at smaller x, and looks to -z
    length = _length(toes) * _length(ahead)
    cosine = np.median((toes * ahead).sum(-1) / np.maximum(length, 1e-9), axis=1)
    person = int(cosine.argmin())
    if cosine[person] < -limits.mirrored:
        yield Finding("mirrored", float(cosine[person]), f"person {person}")


def _persons(joints: np.ndarray, limits: Limits) -> Iterator[Finding]:
    swap: tuple[float, str] = (0.0, "")
    nearest: tuple[float, str] = (np.inf, "")
    for first in range(len(joints)):
        for second in range(first + 1, len(joints)):
            a, b = joints[first], joints[second]
            pair = f"persons {first} and {second}"
            swapped, moved = exchanged(a, b, limits.swap)
            value = np.where(swapped, moved, 0)
            if value.max() > swap[0]:
                swap = (float(value.max()), f"{pair} frame {int(value.argmax()) + 1}")
            apart = float(np.median(_length(a - b).mean(-1)))
            nearest = min(nearest, (apart, pair))
    if swap[0] > 0:
        yield Finding("persons_swap", *swap)
    if nearest[0] < limits.duplicate_person:
        yield Finding("duplicate_person", *nearest)
