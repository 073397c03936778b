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
    found: set[tuple[int, int, int]] = set()
    for clip, length in enumerate(frames.tolist()):
        for window in windows or (length,):
            last = max(0, length - window)
            starts = {*range(0, last, stride or max(1, window // 4)), last}
            found.update((clip, start, min(window, length)) for start in starts)
    return np.array(sorted(found), np.int64).reshape(-1, 3)


def cut(joints: np.ndarray, start: int, length: int, layout: SkeletonLayout, how: NormalizeConfig) -> np.ndarray:
    """A whole clip (M, T, V, C) as it is, or a run of its frames normalised as if recorded alone."""
    if length == joints.shape[1]:
        return joints
    return normalize(joints[:, start : start + length], layout, how)[0]
