"""SkeletonEncoder: clips of one or several persons through a backbone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.streams import to_stream


class SkeletonEncoder(nn.Module):
    """Joint coordinates in, features out: stream, packing of present persons, backbone, pooling.

    The encoder owns its stream, so whoever holds an encoder feeds it plain joints. Only persons who
    are present enter the backbone: no zero-filled second person ever meets a norm or a mean.

    Args:
        backbone: the network.
        stream: a row of ``STREAMS``, computed from the joints before the backbone.
    """

    def __init__(self, backbone: Backbone, stream: str = "joint") -> None:
        super().__init__()
        self.backbone = backbone
        self.stream = stream
        self.layout = backbone.layout

    @property
    def dim(self) -> int:
        """D, length of a clip's feature vector."""
        return self.backbone.dim

    def pack(self, x: Tensor, present: Tensor) -> Tensor:
        """Present persons of the stream: (N, C, T, V, M), (N, M) -> (B, C, T, V), clip by clip."""
        return to_stream(x, self.stream, self.layout).permute(0, 4, 1, 2, 3)[present]

    def forward_features(self, x: Tensor, present: Tensor, mask: Tensor | None = None) -> Tensor:
        """Grid features of the present persons.

        Args:
            x: joints (N, C, T, V, M).
            present: (N, M) bool.
            mask: (B, T / u, V) bool over packed persons, True = HIDDEN.

        Returns:
            (B, D, Tp, Vp), B = present.sum().
        """
        return self.backbone(self.pack(x, present), mask)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Clip features (N, D): mean over frames, joints and the persons present."""
        return pool_persons(self.forward_features(x, present).mean((2, 3)), present)


def pool_persons(packed: Tensor, present: Tensor) -> Tensor:
    """Mean over the present persons of each clip: (B, ...), (N, M) -> (N, ...).

    A per-person loss pooled this way is a per-clip loss: every clip counts once, however many
    persons it holds.
    """
    clip = torch.arange(present.shape[0], device=present.device).repeat_interleave(present.sum(1))
    total = packed.new_zeros(present.shape[0], *packed.shape[1:]).index_add(0, clip, packed)
    count = present.sum(1).clamp(min=1).to(packed.dtype)
    return total / count.view(-1, *[1] * (packed.ndim - 1))
