"""Clips that belong together, by what they have in common or by pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def equal_groups(*keys: np.ndarray) -> np.ndarray:
    """Clips that agree in one of the keys, and those that agree with these in turn: (N,) number of each clip's
    group.
    """
    rows = [np.arange(len(keys[0]))]
    columns = [rows[0]]
    for key in keys:
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        rows.append(rows[0])
        columns.append(first[inverse.reshape(-1)])
    return link(np.stack([np.concatenate(rows), np.concatenate(columns)], 1), len(keys[0]))


def join(groups: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Groups (N,) that pairs of rows (n, 2) join further: (N,) number of each clip's group."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    same = np.stack([np.arange(len(groups)), first[inverse.reshape(-1)]], 1)
    return link(np.concatenate([same, pairs]), len(groups))


def link(pairs: np.ndarray, clips: int) -> np.ndarray:
    """Groups that pairs of rows (n, 2) make: (N,) number of each clip's group."""
    from scipy.sparse import coo_matrix  # slow to import
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (clips, clips))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def keepers(group: np.ndarray, order: Sequence[int] | np.ndarray) -> np.ndarray:
    """(N,) bool: the first clip of each group, in the given order of rows."""
    keep = np.zeros(len(group), bool)
    rows = np.asarray(order)
    _, first = np.unique(group[rows], return_index=True)
    keep[rows[first]] = True
    return keep
