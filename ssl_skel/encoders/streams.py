"""Input streams, computed from joint coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ssl_skel.layouts import SkeletonLayout


def bone(x: Tensor, layout: SkeletonLayout) -> Tensor:
    """Joint minus parent, written at the joint; zero at the root. (N, C, T, V, M), metres.

    CTR-GCN (Chen et al., ICCV 2021), feeders/bone_pairs.py. Departs from print: parents are the layout's. Those of
    ``ntu25`` are rooted at the spine base, CTR-GCN's at the spine's top: joints 1, 2 and 21 (counted from 1) hold the
    same two bones in other slots, with the other sign. The trunk of ``kinect20`` differs likewise (joints 1 to 3).
    """
    return x - x[:, :, :, list(layout.parents)]


def motion(x: Tensor, stride: int = 1) -> Tensor:
    """The frame ``stride`` later minus this one; zero where the clip ends. Time is axis 2; metres a stride.

    CTR-GCN (Chen et al., ICCV 2021), feeders.
    """
    return torch.cat([x[:, :, stride:] - x[:, :, :-stride], torch.zeros_like(x[:, :, :stride])], 2)


def pose(x: Tensor, layout: SkeletonLayout) -> Tensor:
    """Joints relative to the centre joint of their frame; the centre joint keeps its path. (N, C, T, V, M), metres.

    The same information as the joints, separated into how the body is held and where it goes. A person who walks
    moves one joint instead of all.
    """
    centre: list[int | None] = [layout.centre] * layout.num_joints
    centre[layout.centre] = None
    return _relative(x, centre)


def pose_deviation(x: Tensor, layout: SkeletonLayout) -> Tensor:
    """``pose`` minus its own mean over the frames, person by person. (N, C, T, V, M), metres.

    What moves remains; how the body is built and mostly held does not. Ours, after the baseline ``raw_deviation``.
    """
    relative = pose(x, layout)
    return relative - relative.mean(2, keepdim=True)


def pair_distances(x: Tensor, present: Tensor) -> Tensor:
    """Distances from each joint to all joints of the other person: (N, C, T, V, M) -> (N, V, T, V, M), metres.

    Channel w of joint v is the distance to the other's joint w. The first person's other is the second; that of all
    further ones is the first. Zero where there is no other. Rotation changes nothing. Ours, after the baseline
    ``raw_pairs``; distances to the other person have been in use since SBU's paper (Yun et al., CVPRW 2012).

    Args:
        x: coordinates.
        present: (N, M) bool.
    """
    other = (torch.arange(x.shape[4], device=x.device) == 0).long()
    # An empty person follows the last one, so that a person who is alone has an other to index.
    places = torch.cat([x, torch.zeros_like(x[..., :1])], 4)[..., other]
    both = present & torch.cat([present, torch.zeros_like(present[:, :1])], 1)[:, other]
    offsets = x[:, :, None] - places.movedim(3, 2).unsqueeze(4)  # (N, C, the other's V, T, V, M)
    return torch.where(both[:, None, None, None], offsets.square().sum(1).sqrt(), 0.0)


def hop(x: Tensor, layout: SkeletonLayout, hops: int) -> Tensor:
    """Joints relative to their ancestor ``hops`` bones nearer the root; (N, C, T, V, M), metres.

    InfoGCN (Chi et al., CVPR 2022): (I - A^k) x with k = hops. A joint with fewer ancestors keeps its coordinates, the
    root among them: k = 1 is ``bone`` and the path of the root, k as large as the skeleton is deep the joints.
    Departs from print: "nearer the root" is nearer the layout's own; the released graph of NTU has another root, the
    middle of the spine, and the one of NW-UCLA runs the other way, from parents to the sum of children.
    """
    ancestor: list[int | None] = list(range(layout.num_joints))
    for _ in range(hops):
        ancestor = [None if j is None or j == layout.root else layout.parents[j] for j in ancestor]
    return _relative(x, ancestor)


def _relative(x: Tensor, other: Sequence[int | None]) -> Tensor:
    """Each joint minus its other one of the same frame, or as it is where there is none."""
    keeps = torch.tensor([joint is None for joint in other], device=x.device)[:, None]
    return torch.where(keeps, x, x - x[:, :, :, [joint or 0 for joint in other]])


STREAMS: dict[str, Callable[[Tensor, Tensor, SkeletonLayout], Tensor]] = {
    "joint": lambda x, present, layout: x,
    "bone": lambda x, present, layout: bone(x, layout),
    "pose": lambda x, present, layout: pose(x, layout),
    "pose_deviation": lambda x, present, layout: pose_deviation(x, layout),
    "pair_distances": lambda x, present, layout: pair_distances(x, present),
    "hop1": lambda x, present, layout: hop(x, layout, 1),
    "hop2": lambda x, present, layout: hop(x, layout, 2),
    "joint_motion": lambda x, present, layout: motion(x),
    "bone_motion": lambda x, present, layout: motion(bone(x, layout)),
    "hop1_motion": lambda x, present, layout: motion(hop(x, layout, 1)),
    "hop2_motion": lambda x, present, layout: motion(hop(x, layout, 2)),
}
"""InfoGCN's six are ``joint``, ``hop1``, ``hop2`` and the motion of each."""


def to_stream(x: Tensor, present: Tensor, stream: str, layout: SkeletonLayout) -> Tensor:
    """The named stream of joints (N, C, T, V, M), of persons present (N, M) bool. Scores stay what they are.

    Returns:
        (N, S, T, V, M), S = ``stream_channels``; all streams but ``pair_distances`` keep C.

    Raises:
        KeyError: no such stream.
    """
    return on_coordinates(x, layout, lambda coordinates: STREAMS[stream](coordinates, present, layout))


def stream_channels(stream: str, layout: SkeletonLayout, channels: int) -> int:
    """Channels of a stream of joints with this many channels, including the score if the layout has one."""
    nobody = torch.zeros(1, channels, 1, layout.num_joints, 1)
    return to_stream(nobody, torch.zeros(1, 1, dtype=torch.bool), stream, layout).shape[1]


def on_coordinates(x: Tensor, layout: SkeletonLayout, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Coordinates changed, a score beside them kept as it is: (N, C, ...) -> the same, or as many as the change gives.

    Args:
        x: channels are axis 1.
        layout: says whether the last of them is a score.
        change: of the coordinates alone; keeps all axes but theirs.
    """
    if not layout.score:
        return change(x)
    count = layout.coordinates(x.shape[1])
    return torch.cat([change(x[:, :count]), x[:, count:]], 1)
