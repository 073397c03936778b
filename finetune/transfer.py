"""An encoder of one joint layout on a store of another: the store's joints are mapped by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from finetune.checks import Loaded
from ssl_skel.data.adapted import adapted, needs_adapting
from ssl_skel.data.normalize import fill
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.layouts.mapping import joint_map

_ROWS = 1 << 16


def mapped_store(store: Store, layout: SkeletonLayout) -> Store:
    """A store's clips with the joints of another layout, in memory.

    Joints come by name, synonym or as an average of others (``joint_map``). One without a counterpart takes its
    parent's place, and a root without one the mean of the joints there are, as ``fill`` does with joints never tracked.
    What the store's normalisation did stays done.

    Args:
        store: left as it is.
        layout: of the result.
    """
    mapping, rows = joint_map(store.layout, layout), len(store.joints)
    joints = np.empty((rows, layout.num_joints, store.channels), np.float32)
    for start in range(0, rows, _ROWS):
        part = slice(start, start + _ROWS)
        joints[part] = fill(mapping(np.asarray(store.joints[part]))[None], layout)[0]
    lost = [layout.joints.index(joint) for joint in mapping.missing]
    joints[:, lost, layout.coordinates(store.channels) :] = 0
    return replace(store, layout=layout, joints=joints)


def transferred(store: Store, loaded: list[Loaded]) -> tuple[Store, str]:
    """The store as the encoders take it, and what a reader of figures should know of that; "" where nothing was done.

    Encoders for merged corpora also get the normalisation that their training clips had.

    Raises:
        UserError: the encoders are of several layouts, or of one that shares no joint with the store's.
    """
    layouts = list(dict.fromkeys(encoder.layout for found in loaded for encoder, _ in found))
    if len(layouts) > 1:
        names = ", ".join(layout.name for layout in layouts)
        raise UserError(f"data.transfer: the encoders have several layouts ({names}); evaluate them separately")
    (target,) = layouts
    if store.layout != target and len(joint_map(store.layout, target).missing) == target.num_joints:
        raise UserError(f"data.transfer: {store.layout.name} has no joint of {target.name}; no transfer is possible")
    want = loaded[0][0][1].normalization
    if want is not None and needs_adapting(store, target, want):
        return adapted(store, target, want), _remark(
            store.layout, target, ", then normalised as the encoder's clips were"
        )
    if store.layout == target:
        return store, ""
    return mapped_store(store, target), _remark(store.layout, target)


def _remark(source: SkeletonLayout, target: SkeletonLayout, more: str = "") -> str:
    """What was done to joints."""
    missing = joint_map(source, target).missing
    lost = f"; without counterpart, and put in their parents' places: {', '.join(missing)}" if missing else ""
    return f"joints of {source.name} were mapped by name to {target.name}{more}{lost}"
