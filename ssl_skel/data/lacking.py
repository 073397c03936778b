"""Joints that a part of a merged corpus lacks: they stay in their parent's place, whatever augmentations do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ssl_skel.data.store import Store
from ssl_skel.layouts import SkeletonLayout

if TYPE_CHECKING:
    from torch import Tensor


def stand_ins(store: Store) -> np.ndarray:
    """Where each joint is taken from, by part of a merged store.

    Returns:
        (parts, V) numbers of joints: a joint itself, or where the part's layout has nothing for it, the nearest joint
        above it that the part has. No parts, if the store is not merged, or no part lacks any.
    """
    own, parts = range(store.layout.num_joints), [set(part["missing"]) for part in store.provenance.stores]
    found = np.array([[_nearest(joint, missing, store.layout) for joint in own] for missing in parts], np.int64)
    found = found.reshape(len(parts), len(own))
    return found if (found != np.arange(len(own))).any() else found[:0]


def parts_of(store: Store, rows: np.ndarray) -> np.ndarray:
    """Number of the merged store's part that each clip comes from; parts stand one after the other."""
    return np.searchsorted(np.cumsum([part["clips"] for part in store.provenance.stores]), rows, side="right")


def stand_in(x: Tensor, joints: Tensor) -> Tensor:
    """Clips (N, C, T, V, M) with each joint taken from where ``joints`` (N, V) says."""
    return x.gather(3, joints[:, None, None, :, None].expand(x.shape))


def _nearest(joint: int, missing: set[str], layout: SkeletonLayout) -> int:
    """The joint, or the first above it that is not missing; the root stands for itself."""
    while layout.joints[joint] in missing and layout.parents[joint] != joint:
        joint = layout.parents[joint]
    return joint
