"""Input streams, computed from joint coordinates."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ssl_skel.layout import SkeletonLayout


def bone(x: Tensor, layout: SkeletonLayout) -> Tensor:
    """Joint minus parent, written at the joint; zero at the root. (N, C, T, V, M), metres.

    CTR-GCN (Chen et al., ICCV 2021), feeders/bone_pairs.py.
    """
    return x - x[:, :, :, list(layout.parents)]


def motion(x: Tensor, stride: int = 1) -> Tensor:
    """The frame ``stride`` later minus this one; zero where the clip ends. Time is axis 2; metres a stride.

    CTR-GCN (Chen et al., ICCV 2021), feeders.
    """
    return torch.cat([x[:, :, stride:] - x[:, :, :-stride], torch.zeros_like(x[:, :, :stride])], 2)


def pose(x: Tensor, layout: SkeletonLayout) -> Tensor:
    """Joints relative to the centre joint of their frame; the centre joint keeps its path. (N, C, T, V, M), metres.

    The same numbers as the joints, told apart: how the body is held, and where it goes. A person who walks
    moves one joint instead of all. InfoGCN's relative positions (Chi et al., CVPR 2022) leave the root's
    own coordinates in the same way, with the k-th ancestor in place of the centre.
    """
    centre = x[:, :, :, layout.centre : layout.centre + 1]
    keeps = torch.zeros(x.shape[3], 1, dtype=torch.bool, device=x.device)
    keeps[layout.centre] = True
    return torch.where(keeps, x, x - centre)


STREAMS: dict[str, Callable[[Tensor, SkeletonLayout], Tensor]] = {
    "joint": lambda x, layout: x,
    "bone": bone,
    "pose": pose,
    "joint_motion": lambda x, layout: motion(x),
    "bone_motion": lambda x, layout: motion(bone(x, layout)),
}


def to_stream(x: Tensor, stream: str, layout: SkeletonLayout) -> Tensor:
    """The named stream of joints (N, C, T, V, M); same shape.

    Raises:
        KeyError: no such stream.
    """
    return STREAMS[stream](x, layout)
