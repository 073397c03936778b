"""What an epoch of a merged corpus holds: how often each clip is drawn, and which clips meet in a batch."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from ssl_skel.data.lacking import parts_of
from ssl_skel.data.store import Store

Balance = Literal["none", "set", "class"]
"""none: each clip as often as any other of its length. set: each store that was merged as often as any other. class:
also each class of a set as often as the other classes of that set; its clips without a label count as one class."""
BALANCES: tuple[str, ...] = get_args(Balance)

Batches = Literal["mixed", "set"]
"""mixed: any clips. set: those of one of the stores that were merged."""
BATCHES: tuple[str, ...] = get_args(Batches)


def windows(store: Store, rows: np.ndarray, max_frames: int | None) -> np.ndarray:
    """(N,) how many windows of at most ``max_frames`` frames cover each clip; 1 without a limit."""
    frames = store.frames[rows]
    return np.ones_like(frames) if max_frames is None else -(-frames // max_frames)


def chances(store: Store, rows: np.ndarray, counts: np.ndarray, balance: Balance) -> np.ndarray:
    """Share of each clip in an epoch.

    Args:
        store: where the clips are.
        rows: (N,) numbers of the clips.
        counts: (N,) windows of each clip; clips of one group share its draws in proportion to them.
        balance: what is drawn equally often.

    Returns:
        (N,) float64, sum 1.
    """
    shares = np.asarray(counts, np.float64)
    groups = []
    if balance != "none":
        groups.append(parts_of(store, rows))
    if balance == "class":
        groups.insert(0, groups[0] * (store.num_classes + 1) + store.label[rows] + 1)
    for group in groups:  # classes first, so that in the end sets are equal
        _, member = np.unique(group, return_inverse=True)
        shares = shares / np.bincount(member, shares)[member]
    return shares / shares.sum()


def draw(shares: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Numbers of ``count`` clips; each occurs as often as its share says, rounded up or down at random.

    Systematic sampling: one random number places evenly spaced points on the line of all shares.
    """
    ends = np.cumsum(shares)
    points = (np.arange(count) + random.random()) / count * ends[-1]
    return np.minimum(np.searchsorted(ends, points, side="right"), len(shares) - 1)


def set_by_set(rows: np.ndarray, sets: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """An epoch in which as many batches as possible hold clips of one set only. Ours.

    Contrast then has to distinguish clips of one set, which differ in their motion, not by sensor, room or skeleton.

    Args:
        rows: (N,) clips of the epoch, in random order.
        sets: (N,) the set of each.
        size: clips in a batch.
        random: shuffles the batches.

    Returns:
        (N,) the same clips. Those that are left over from their sets make mixed batches; what does not fill one of
        these comes last.
    """
    whole, left_over = [], []
    for name in np.unique(sets):
        mine = rows[sets == name]
        cut = len(mine) // size * size
        whole.append(mine[:cut])
        left_over.append(mine[cut:])
    mixed = random.permutation(np.concatenate(left_over))
    cut = len(mixed) // size * size
    batches = np.concatenate([*whole, mixed[:cut]]).reshape(-1, size)
    return np.concatenate([random.permutation(batches).reshape(-1), mixed[cut:]])
