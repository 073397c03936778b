"""Clips that a program holds as arrays, ready for an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ssl_skel.data.clip import tracked_persons
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.sources.recordings import store_of
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout


def store_of_arrays(
    clips: Sequence[Any] | np.ndarray, layout: SkeletonLayout, channels: int, how: NormalizeConfig
) -> Store:
    """Arrays as a store in memory, each normalised; clips are named by their numbers.

    Args:
        clips: (T, V, C), or (M, T, V, C) for several persons; metres, y up, NaN where not tracked.
        layout, channels: V and C of all of them.
        how: what is done to each.

    Raises:
        UserError: it is not a list, there is no clip, or one does not fit; the message has its number.
    """
    if not isinstance(clips, Sequence | np.ndarray):
        raise UserError(f"{clips!r}: is not a source of clips; give a path, a store, or a list of arrays")
    normalized = []
    for number, clip in enumerate(clips):
        joints = _checked(clip, number, layout, channels)
        try:
            normalized.append(normalize(joints, layout, how)[0])
        except UserError as error:
            raise UserError(f"clip {number}: {error}") from error
    if not normalized:
        raise UserError("there are no clips; give at least one")
    return replace(store_of(normalized, layout), normalization=how)


def _checked(clip: Any, number: int, layout: SkeletonLayout, channels: int) -> np.ndarray:
    """One clip as (M, T, V, C) float32, as readers give it.

    Raises:
        UserError: it is not a clip of this layout, or holds nothing.
    """
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which means not tracked
            joints = np.asarray(clip, np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"clip {number}: is not an array of numbers ({error})") from error
    joints = joints[None] if joints.ndim == 3 else joints
    if joints.ndim != 4 or joints.shape[2:] != (layout.num_joints, channels):
        raise UserError(
            f"clip {number}: has shape {np.shape(clip)}; this encoder takes (T, {layout.num_joints}, {channels}) or "
            f"(M, T, {layout.num_joints}, {channels}), the joints of {layout.name}"
        )
    if 0 in joints.shape:
        raise UserError(f"clip {number}: has no frames; leave it out")
    if not tracked_persons(joints).any():
        raise UserError(f"clip {number}: has no tracked joint (only NaN, infinity or zero); leave it out")
    return joints
