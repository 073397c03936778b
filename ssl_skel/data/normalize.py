"""From a clip as recorded to a clip as stored: gaps filled, persons ordered, centred, turned, scaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator

from ssl_skel.config import Section, parse_config
from ssl_skel.data.clip import tracked_joints, tracked_persons
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout

_FRAMES_THAT_TELL_HEADING = 5
CENTRES = ("none", "first", "frame")
"""Choices of ``centre``, from the least that is done to the most."""


class NormalizeConfig(Section):
    """What is done to a clip; recorded in the store's ``meta.json``."""

    centre: Literal["first", "frame", "none"] = "first"
    """What becomes the origin. first: the centre joint of the first person where it is first tracked, so that paths
    through the room stay (CTR-GCN, data/ntu/seq_transformation.py). frame: the same joint in each frame. none: the
    sensor's own origin."""

    orient: bool = False
    """Turn the clip about the vertical axis so that at its start the first person's ``across`` line lies along x, left
    at smaller x, as in someone who faces a Kinect. The direction is the median (least sum of angles to the others) of
    the first five frames in which both ends were tracked, so that one bad frame does not turn the clip."""

    align: bool = False
    """Turn each person separately, about the origin and all three axes, so that where they are first tracked their
    spine (the first bone from the root towards ``across``) is along y and their ``across`` line in the x-y plane, left
    at smaller x. InfoGCN (Chi et al., CVPR 2022) trains on NTU so. Two people then no longer stand as they stood to
    each other.
    Departs from print: y is up, where the release has z; shoulders for hips."""

    scale: bool = False
    """Divide by the first person's mean bone length (median over frames); lengths are then counted in mean bones."""

    order_persons: Literal["pooled", "per_joint", "none"] = "pooled"
    """Put the person who moves most first; persons never tracked are dropped in any case. pooled: who has the largest
    variance of x, y and z, summed, over all joints that were tracked in any frame, taken together (CTR-GCN,
    data/ntu/get_raw_skes_data.py), before gaps are filled; a reader that has done so itself keeps its order. per_joint:
    the variances of each joint over time, summed, after gaps are filled; this is what stores record that do not name a
    rule. none: as the reader gives them."""

    @property
    def units(self) -> str:
        """What one unit of a stored coordinate is."""
        return "mean bone lengths" if self.scale else "metres"


def record(config: NormalizeConfig | None, filled: int) -> dict[str, Any]:
    """The form in which ``meta.json`` records a normalisation; empty where none is known.

    Args:
        config: what was done to each clip.
        filled: how many joint positions of all clips were filled.
    """
    if config is None:
        return {}
    return config.model_dump(mode="json") | {"units": config.units, "filled": filled}


def filled_positions(recorded: Mapping[str, Any]) -> int:
    """How many joint positions were filled, according to a record; 0 if it does not say, or is damaged."""
    filled = recorded.get("filled", 0)
    return filled if type(filled) is int else 0


def _options(recorded: Any) -> Any:
    """A record without anything that follows from the options; None if nothing is left."""
    if not isinstance(recorded, Mapping):
        return recorded
    options = {key: value for key, value in recorded.items() if key not in ("units", "filled")}
    if options and isinstance(options.get("order_persons", True), bool):  # from before there were two rules
        options["order_persons"] = "per_joint" if options.get("order_persons", True) else "none"
    return options or None


def alike(one: NormalizeConfig | None, other: NormalizeConfig | None, persons: int) -> bool:
    """Whether two normalisations do the same to clips of at most this many persons; the order of one person does not
    matter.

    Those without any record count as equal.
    """
    if one and other and persons == 1:
        one = one.model_copy(update={"order_persons": other.order_persons})
    return one == other


RecordedNormalization = Annotated[NormalizeConfig | None, BeforeValidator(_options)]
"""A field that holds a record: its options, or None where it says nothing."""


def parse_normalization(recorded: Mapping[str, Any], source: str) -> NormalizeConfig | None:
    """The options of a record; None where it says nothing.

    Raises:
        UserError: they are not such options; begins with ``source``.
    """
    options = _options(recorded)
    return None if options is None else parse_config(NormalizeConfig, options, source)


def require_normalization(config: NormalizeConfig | None, source: str) -> NormalizeConfig:
    """The options, where they are known.

    Raises:
        UserError: they are not; begins with ``source``.
    """
    if config is None:
        raise UserError(f"{source}: normalization: nothing is recorded, so new clips cannot be normalised the same way")
    return config


def normalize(
    joints: np.ndarray, layout: SkeletonLayout, config: NormalizeConfig, ordered: bool = False
) -> tuple[np.ndarray, int]:
    """Normalise one clip.

    Args:
        joints: (M, T, V, C) metres, y up, NaN where not tracked; at least one joint is.
        layout: its joints. Where it has scores, they stay as they are, and are 0 where a joint was not tracked.
        config: what to do.
        ordered: the reader has put the persons in the ``pooled`` order.

    Returns:
        (M', T, V, C) float32 without gaps, M' persons who were ever tracked; and how many joint positions were filled.

    Raises:
        UserError: ``orient`` or ``align`` of clips with two coordinates, ``align`` of a layout without a spine.
    """
    coordinates = layout.coordinates(joints.shape[-1])
    for option in ("orient", "align"):
        if getattr(config, option) and coordinates != 3:
            raise UserError(f"{option}: clips with two coordinates have no heading; leave it off")
    joints = joints[tracked_persons(joints)].astype(np.float64)
    tracked = tracked_joints(joints)
    score = np.where(tracked[..., None], joints[..., coordinates:], 0)
    recorded = joints[..., :coordinates]
    joints = fill(recorded, layout)
    rule = "none" if ordered and config.order_persons == "pooled" else config.order_persons
    if rule != "none":
        moved = _pooled(recorded) if rule == "pooled" else _per_joint(joints)
        order = np.argsort(-moved, kind="stable")
        joints, tracked, score = joints[order], tracked[order], score[order]
    if config.centre == "first":  # a filled frame 0 holds the value of the first frame in which the joint was tracked
        joints = joints - joints[0, 0, layout.centre]
    elif config.centre == "frame":
        joints = joints - joints[0, None, :, None, layout.centre]
    if config.orient:
        joints = _turn(joints, *_heading(joints[0], tracked[0], layout))
    if config.align:
        ends = _body_ends(layout)
        joints = np.stack(
            [person @ _body_axes(person, seen, ends).T for person, seen in zip(joints, tracked, strict=True)]
        )
    if config.scale:
        joints = joints / _mean_bone(joints[0], layout)
    return np.concatenate([joints, score], -1).astype(np.float32), int((~tracked).sum())


def _pooled(joints: np.ndarray) -> np.ndarray:
    """(M,) how much each person of (M, T, V, C) moves, by what was tracked."""
    return np.array([person[tracked_joints(person)].var(0).sum() for person in joints])


def _per_joint(joints: np.ndarray) -> np.ndarray:
    """(M,) how much each joint of each person of (M, T, V, C) moves, summed."""
    moved: np.ndarray = joints.var(1).sum((1, 2))
    return moved


def fill(joints: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """Put a position wherever a joint was not tracked.

    Gaps are crossed in a straight line through time and the ends held. A joint that was never tracked
    takes its parent's place; a root that was never tracked takes the mean of the joints that were.

    Args:
        joints: (M, T, V, C), NaN or infinite where not tracked; every person has a tracked joint.
    """
    tracked = tracked_joints(joints)
    if tracked.all():
        return joints
    persons, frames, count, channels = joints.shape
    series = joints.transpose(0, 2, 1, 3).reshape(-1, frames, channels)
    known = tracked.transpose(0, 2, 1).reshape(-1, frames)
    time = np.broadcast_to(np.arange(frames), known.shape)
    before = np.maximum.accumulate(np.where(known, time, -1), 1)
    after = np.flip(np.minimum.accumulate(np.flip(np.where(known, time, frames), 1), 1), 1)
    ever = known.any(1)
    before = np.where(before < 0, after, before)
    after = np.where(after == frames, before, after)
    before, after = (np.clip(at, 0, frames - 1) for at in (before, after))  # rows of joints never tracked
    share = ((time - before) / np.maximum(after - before, 1))[..., None]
    row = np.arange(len(series))[:, None]
    start, stop = series[row, before], series[row, after]
    with np.errstate(invalid="ignore"):  # never tracked: NaN until the loop below
        series = np.where(known[..., None], series, start + share * (stop - start))
    filled = series.reshape(persons, count, frames, channels).transpose(0, 2, 1, 3).copy()
    for person, seen in enumerate(ever.reshape(persons, count)):
        if not seen.all():
            _place_unseen(filled[person], seen, layout)
    return filled


def _place_unseen(joints: np.ndarray, seen: np.ndarray, layout: SkeletonLayout) -> None:
    """Fill joints never tracked, in place; joints (T, V, C), seen (V,)."""
    placed = {joint for joint in range(layout.num_joints) if seen[joint]}
    if layout.root not in placed:
        joints[:, layout.root] = joints[:, seen].mean(1)
        placed.add(layout.root)
    for joint in range(layout.num_joints):
        chain = [joint]
        while chain[-1] not in placed:
            chain.append(layout.parents[chain[-1]])
        for child in chain[:-1]:
            joints[:, child] = joints[:, chain[-1]]
        placed.update(chain)


def _heading(joints: np.ndarray, tracked: np.ndarray, layout: SkeletonLayout) -> tuple[float, float]:
    """Unit vector (x, z), from left to right across a body at the clip's start; joints (T, V, 3), tracked (T, V)."""
    left, right = layout.across
    frames = np.flatnonzero(tracked[:, left] & tracked[:, right])
    line = (joints[frames, right] - joints[frames, left])[:, [0, 2]]
    length = np.hypot(line[:, 0], line[:, 1])
    line = line[length > 1e-6] / length[length > 1e-6, None]
    if not len(line):
        return 1.0, 0.0
    line = line[: min(_FRAMES_THAT_TELL_HEADING, len(line) - 1 + len(line) % 2)]  # an odd number has one median
    angles = np.arccos(np.clip(line @ line.T, -1, 1))
    x, z = line[angles.sum(1).argmin()]
    return float(x), float(z)


def _turn(joints: np.ndarray, cos: float, sin: float) -> np.ndarray:
    """Turn about y so that the direction (cos, sin) in the x-z plane comes to lie along x."""
    return joints @ np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])


def _body_ends(layout: SkeletonLayout) -> list[int]:
    """Joints at the ends of the first bone of the spine, and of the line across the body.

    Raises:
        UserError: the path from the root to a shoulder passes no other joint.
    """
    left, right = layout.across
    first = left
    while layout.parents[first] not in (first, layout.root):
        first = layout.parents[first]
    if first == left or layout.parents[first] == first:
        name = layout.joints[left]
        raise UserError(f"align: the layout {layout.name} has no spine between its root and {name}; use orient")
    return [layout.root, first, left, right]


def _body_axes(joints: np.ndarray, tracked: np.ndarray, ends: Sequence[int]) -> np.ndarray:
    """Rows: a person's axes x, y and z, (3, 3), in the first frame in which the ends were tracked; else in the first.

    Of joints (T, V, 3) and tracked (T, V). Unturned where the ends fall together.
    """
    frame = int(tracked[:, ends].all(1).argmax())
    root, spine, left, right = joints[frame, ends]
    up, across = spine - root, right - left
    across = across - up * (across @ up) / max(float(up @ up), 1e-12)
    lengths = np.linalg.norm(up), np.linalg.norm(across)
    if min(lengths) < 1e-6:
        return np.eye(3)
    up, across = up / lengths[0], across / lengths[1]
    return np.stack([across, up, np.cross(across, up)])


def _mean_bone(joints: np.ndarray, layout: SkeletonLayout) -> float:
    """Mean bone length (median over frames) of one person (T, V, C); 1 where all joints fall together."""
    bones = np.linalg.norm(joints - joints[:, list(layout.parents)], axis=-1).sum(-1)  # the root's is zero
    length = float(np.median(bones)) / max(len(layout.bones), 1)
    return length if length > 1e-6 else 1.0
