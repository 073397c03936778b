"""Clips of any layout, as an encoder of merged corpora takes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ssl_skel.data.normalize import CENTRES, NormalizeConfig, alike, normalize, require_normalization
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.layouts.mapping import joint_map

COMMON = "common15"
"""The layout that stores are merged in. Its encoders take clips of every body layout; others take only their own."""


def needs_adapting(store: Store, layout: SkeletonLayout, want: NormalizeConfig) -> bool:
    """Whether an encoder takes a store's clips only after ``adapted``, and takes them so."""
    return layout.name == COMMON and (store.layout != layout or not alike(store.normalization, want, store.max_persons))


def adapted(store: Store, layout: SkeletonLayout, want: NormalizeConfig) -> Store:
    """A store's clips with the joints and the normalisation of an encoder, in memory.

    The same that ``ssl-skel merge`` does: joints come by name, synonym or as an average of others (``joint_map``), one
    without a counterpart takes its parent's place, and clips are then normalised in the new layout. Normalisation that
    was applied earlier is kept.

    Args:
        store: left as it is.
        layout: joints of the encoder.
        want: the normalisation of its training clips.

    Raises:
        UserError: the layouts share no joint, or more was done to the store's clips than ``want`` does.
    """
    own, take = require_normalization(store.normalization, str(store.path)), joint_map(store.layout, layout)
    if len(take.missing) == layout.num_joints:
        raise UserError(f"{store.path}: layout: {store.layout.name} has no joint of {layout.name}")
    more = {
        "centre": CENTRES.index(own.centre) > CENTRES.index(want.centre),
        "orient": own.orient > want.orient,
        "align": own.align > want.align,
        "scale": own.scale > want.scale,
    }
    option = next((option for option, is_more in more.items() if is_more), "")
    if option:
        raise UserError(
            f"{store.path}: normalization: {option} is {getattr(own, option)}, the encoder's clips had "
            f"{getattr(want, option)}, and what was done cannot be undone; convert with the encoder's options"
        )
    joints = np.empty((len(store.joints), layout.num_joints, store.channels), np.float32)
    for i in range(len(store)):
        start, clip = int(store.offset[i]), adapted_clip(store, i, layout, want)
        joints[start : start + clip.shape[0] * clip.shape[1]] = clip.reshape(-1, *joints.shape[1:])
    return replace(store, layout=layout, joints=joints, normalization=want)


def adapted_clip(store: Store, i: int, layout: SkeletonLayout, want: NormalizeConfig) -> np.ndarray:
    """One clip of ``adapted``, (M, T, V, C); persons keep their order."""
    how = want.model_copy(update={"order_persons": "none"})
    return normalize(joint_map(store.layout, layout)(store.clip(i)), layout, how)[0]
