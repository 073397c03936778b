"""Clips that belong together, by what they have in common or by pairs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def equal_groups(*keys: np.ndarray) -> np.ndarray:
    """Clips that agree in one of the keys, and those that agree with these in turn: (N,) row of the first clip of each
    clip's group.
    """
    return link(np.concatenate([_equal(key) for key in keys]), len(keys[0]))


def join(groups: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Groups (N,) that pairs of rows (n, 2) join further: (N,) row of the first clip of each clip's group."""
    return link(np.concatenate([_equal(groups), pairs]), len(groups))


def link(pairs: np.ndarray, clips: int) -> np.ndarray:
    """Groups that pairs of rows (n, 2) make: (N,) row of the first clip of each clip's group."""
    from scipy.sparse import coo_matrix  # slow to import
    from scipy.sparse.csgraph import connected_components

    groups = np.arange(clips)
    if len(pairs):  # few clips are in one; the graph holds no others
        rows, ends = np.unique(pairs, return_inverse=True)
        graph = coo_matrix((np.ones(len(pairs), bool), ends.reshape(-1, 2).T), (len(rows), len(rows)))
        group = connected_components(graph, directed=False)[1]
        groups[rows] = rows[np.unique(group, return_index=True)[1][group]]
    return groups


def keepers(group: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(N,) bool: the first clip of each group (N,), numbers below N, in the given order of rows."""
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    first = np.full_like(rank, len(order))
    np.minimum.at(first, group, rank)
    keep: np.ndarray = rank == first[group]
    return keep


def members(group: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of each group (N,), numbers below N, that has more than one clip."""
    rows = np.flatnonzero(np.bincount(group)[group] > 1)
    rows = rows[np.argsort(group[rows], kind="stable")]
    if len(rows):
        yield from np.split(rows, np.flatnonzero(np.diff(group[rows])) + 1)


def _equal(key: np.ndarray) -> np.ndarray:
    """Pairs (n, 2) of rows that are equal in a key (N,), each row with the next of its kind."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    same = ordered[1:] == ordered[:-1]
    return np.stack([order[:-1][same], order[1:][same]], 1)
