"""Place and size of a clip, removed from what a network sees."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_skel.encoders.stream_names import Extent
from ssl_skel.layouts import SkeletonLayout


def to_extent(x: Tensor, present: Tensor, extent: Extent, layout: SkeletonLayout) -> Tensor:
    """Each clip moved and scaled by the box around all its seen joints, over frames and persons.

    ``box``: the box's centre moves to the origin and its longest edge becomes 1; shapes stay as they are. Ours.
    ``axis``: each coordinate runs from -1 to 1, independently of the others (CTR-GCN, Chen et al., ICCV 2021,
    feeders/feeder_ucla.py; Predict & Cluster, Su et al., CVPR 2020). ``none``: as it is.

    Departs from print: the box is that of the view, after cropping and augmentation; CTR-GCN takes that of the whole
    clip, after its rotation.

    Args:
        x: joints (N, C, T, V, M).
        present: (N, M) bool; absent persons do not count, and become zero unless ``extent`` is none.
        extent: which of them.
        layout: joints whose score is 0 do not count either; scores stay what they are.

    Returns:
        The same shape. A clip that is one point moves to the origin.
    """
    if extent == "none":
        return x
    count = layout.coordinates(x.shape[1])
    places, score = x[:, :count], x[:, count:]
    there = present[:, None, None, None]
    seen = there & (score > 0) if layout.score else there
    low = places.masked_fill(~seen, torch.inf).amin((2, 3, 4), keepdim=True)
    high = places.masked_fill(~seen, -torch.inf).amax((2, 3, 4), keepdim=True)
    middle = torch.where(low <= high, (low + high) / 2, 0.0)  # 0 where nothing is seen
    edge = (high - low).amax(1, keepdim=True) if extent == "box" else (high - low) / 2
    placed = torch.where(there, (places - middle) / torch.where(edge > 0, edge, 1.0), 0.0)
    return torch.cat([placed, score], 1) if layout.score else placed
