"""Clips of one performance: what several cameras recorded of it at the same time.

A performance is one subject's repetition of an action in a setup, whatever the camera. It is known by the columns of
the store, not by looking at the clips.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from ssl_skel.data.store import Store
from ssl_skel.errors import UserError

Cameras = Literal["own", "others"]
"""own: all draws are taken from the clip. others: those after the first from another camera's clip of its performance,
where there is one."""
CAMERAS: tuple[str, ...] = get_args(Cameras)


def performance_of(store: Store) -> np.ndarray:
    """(N, 4) subject, label, setup and replication: equal for clips of one performance; -1 where unknown."""
    return np.stack([store.subject, store.label, store.setup, store.replication], 1)


class OtherCameras:
    """For each of some clips, those that other cameras recorded of the same performance.

    Clips without a camera or a replication have none. Neither have performances of which one camera recorded two
    clips, since then it is unknown which were recorded at once; nor do clips that show different numbers of persons
    belong together.

    Args:
        store: where the clips are.
        rows: numbers of the clips that count.

    Raises:
        UserError: not one of them was recorded by two cameras.
    """

    def __init__(self, store: Store, rows: np.ndarray) -> None:
        rows = np.unique(rows)
        rows = rows[(store.camera[rows] >= 0) & (store.replication[rows] >= 0)]
        keys = np.concatenate([performance_of(store)[rows], store.persons[rows, None]], 1)
        _, group, clips = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        group = group.reshape(-1)
        cameras = np.bincount(np.unique(np.stack([group, store.camera[rows]]), axis=1)[0], minlength=len(clips))
        known = ((clips > 1) & (clips == cameras))[group]
        if not known.any():
            raise UserError(
                f"{store.path}: data.cameras: none of these clips shares its performance with another camera's; give "
                "such clips the same replication and different cameras, or data.cameras own"
            )
        order = np.argsort(group[known], kind="stable")
        self._rows, group = rows[known][order], group[known][order]
        begin = np.flatnonzero(np.diff(group, prepend=-1))
        count = np.diff(begin, append=len(group))
        self._begin, self._count = np.repeat(begin, count), np.repeat(count, count)
        self._at = np.full(len(store), -1)
        self._at[self._rows] = np.arange(len(self._rows))

    def draw(self, rows: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Another camera's clip for each of some clips; the clip itself where there is none.

        Args:
            rows: (N,) numbers of the clips.
            chance: (N, K) random numbers from 0 to 1, which choose among several.

        Returns:
            (N, K) numbers of clips.
        """
        at = self._at[rows]
        begin, count = self._begin[at, None], self._count[at, None]
        further = 1 + (chance * (count - 1)).astype(np.int64)
        others = self._rows[begin + (at[:, None] - begin + further) % count]
        return np.where(at[:, None] >= 0, others, rows[:, None])
