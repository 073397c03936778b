"""How well two draws of a clip can be matched without seeing any motion, by the proportions of the body alone.

If they can, a contrast of two draws has a shortcut: it learns who moves, not what is done. Rotation, scaling and
noise of single frames do not close it; the augmentations ``bones`` and ``offset`` do. It is a property of clips and
augmentations, whatever the network.
"""

from __future__ import annotations

import numpy as np

from ssl_skel.batch import Batch
from ssl_skel.data.loader import ClipLoader
from ssl_skel.evaluation.quality import evenly_spaced
from ssl_skel.layouts import SkeletonLayout

GROUP = 64
"""Clips among which one is looked for, so that a rate by chance is 1 in 64."""
SHORTEST = 1e-6
"""Bones count as this long at least, for their logarithm."""


def log_proportions(loader: ClipLoader, epoch: int = 0) -> np.ndarray:
    """What a loader's draws show about bodies: the logarithm of each bone's mean length over time, less their mean.

    Size cancels out. Persons are concatenated; an absent one is zero.

    Args:
        loader: of one draw per clip, neither shuffled nor dropping its last clips.
        epoch: of the loader; each has other draws.

    Returns:
        (rows, M * (V - 1)) float64.
    """
    return np.concatenate([_log_proportions(batch, loader.store.layout) for batch in loader.epoch(epoch)])


def match_rate(first: np.ndarray, second: np.ndarray) -> float:
    """Share of clips whose second draw is nearest to their own first draw, among ``GROUP`` clips' first draws.

    More clips are divided into groups of clips far apart in the order, and the remainder is left out; fewer form one
    smaller group, where chance is higher.

    Args:
        first, second: (N, D) each, one row per clip, at least one.

    Returns:
        From 0 to 1; by chance 1 / min(N, GROUP).
    """
    groups = max(len(first) // GROUP, 1)
    rows = evenly_spaced(len(first), groups * GROUP)
    hits = [_nearest(second[rows[group::groups]], first[rows[group::groups]]) for group in range(groups)]
    return float(np.mean([hit == np.arange(len(hit)) for hit in hits]))


def _log_proportions(batch: Batch, layout: SkeletonLayout) -> np.ndarray:
    child, parent = (list(ends) for ends in zip(*layout.bones, strict=True))
    places = batch.x[:, 0, : layout.coordinates(batch.x.shape[2])].double()
    length = (places[:, :, :, child] - places[:, :, :, parent]).norm(dim=1).mean(1)  # (N, V - 1, M)
    logs = length.clamp(min=SHORTEST).log()
    found = (logs - logs.mean(1, keepdim=True)) * batch.present[:, None]
    return found.flatten(1).cpu().numpy()


def _nearest(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """(queries,) int64: number of the nearest key."""
    return ((queries[:, None] - keys) ** 2).sum(2).argmin(1)
