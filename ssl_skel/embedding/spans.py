"""Spans: the clips of a store, or windows inside them, each of which gets a vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.layouts import SkeletonLayout


def spans(frames: np.ndarray, windows: Sequence[int] = (), stride: int | None = None) -> np.ndarray:
    """Which parts of each clip get a vector of their own.

    Args:
        frames: (N,) lengths of the clips.
        windows: lengths of the windows; none: each clip whole. A clip no longer than a window is taken whole, once.
        stride: frames from one window to the next; default a quarter of the window. The last one ends with its clip.

    Returns:
        (S, 3) int64: clip, first frame, frames; ascending.
    """
    parts = [_spans(frames, window, stride) for window in windows] or [_spans(frames, None, stride)]
    return parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts), axis=0)


def _spans(frames: np.ndarray, window: int | None, stride: int | None) -> np.ndarray:
    """The same for windows of one length, or none."""
    length = frames if window is None else np.minimum(frames, window)
    last = frames - length
    step = stride or max(1, (window or 1) // 4)
    count = -(-last // step) + 1
    clip = np.repeat(np.arange(len(frames)), count)
    number = np.arange(len(clip)) - np.repeat(np.cumsum(count) - count, count)
    return np.stack([clip, np.minimum(number * step, last[clip]), length[clip]], 1)


def cut(joints: np.ndarray, start: int, length: int, layout: SkeletonLayout, how: NormalizeConfig) -> np.ndarray:
    """A whole clip (M, T, V, C) as it is, or a run of its frames normalised as if recorded alone."""
    if length == joints.shape[1]:
        return joints
    return normalize(joints[:, start : start + length], layout, how)[0]
