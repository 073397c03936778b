"""SkeletonEncoder: clips of one or several persons through a backbone."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.encoders.streams import to_stream
from ssl_skel.layouts import SkeletonLayout

Readout = Literal["mean", "body", "part", "joint", "part_quarters"]
_GROUPED: dict[Readout, tuple[Literal["body", "part", "joint"], int]] = {
    "body": ("body", 1),
    "part": ("part", 1),
    "joint": ("joint", 1),
    "part_quarters": ("part", 4),
}
"""Per readout by groups of joints, their level and in how many stretches of time, equally long, a clip is read."""


class SkeletonEncoder(nn.Module):
    """Joint coordinates in, features out: stream, packing of present persons, backbone, pooling.

    The encoder owns its stream, so whoever holds an encoder feeds it plain joints. Only persons who
    are present enter the backbone: no zero-filled second person ever meets a norm or a mean.

    Args:
        backbone: the network.
        stream: a row of ``STREAMS``, computed from the joints before the backbone.

    Attributes:
        readout: how the grid becomes a clip's vector; a use of the encoder rather than a part of it, so it may be
            set at any time and no card holds it. ``mean``: over frames and joints, as most papers do. ``body``,
            ``part`` or ``joint``: over frames and the joints of each group of that level, side by side; MAMP's
            fine-tuning head (Mao et al., ICCV 2023) reads joints that way. ``part_quarters``, ours: each quarter of
            the clip by parts, side by side, so that the order of what happens counts.
    """

    def __init__(self, backbone: Backbone, stream: str = "joint") -> None:
        super().__init__()
        self.backbone = backbone
        self.stream = stream
        self.layout = backbone.layout
        self.readout: Readout = "mean"

    @property
    def dim(self) -> int:
        """Length of a clip's vector: D for ``mean``, else D times the groups of the level, times four in quarters."""
        if self.readout == "mean":
            return self.backbone.dim
        level, stretches = _GROUPED[self.readout]
        return self.backbone.dim * stretches * len(self.layout.level(level))

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
        """Clip vectors (N, dim): joints (N, C, T, V, M) and present (N, M), read out, mean over the persons present.

        Raises:
            ValueError: a readout by groups of joints from a backbone that merges joints.
        """
        return pool_persons(self.read(self.forward_features(x, present)), present)

    def read(self, grid: Tensor) -> Tensor:
        """Read out each person: grid (B, D, Tp, Vp) -> (B, dim).

        Raises:
            ValueError: as ``forward``.
        """
        if self.readout == "mean":
            return grid.mean(2).mean(2)
        if not self.backbone.keeps_joints:  # merged joints may be as many as there were
            raise ValueError(f"readout {self.readout}: this backbone merges joints; use mean")
        level, stretches = _GROUPED[self.readout]
        steps = grid.shape[2]
        spans = [slice(k * steps // stretches, -(-(k + 1) * steps // stretches)) for k in range(stretches)]
        features = torch.stack([grid[:, :, span].mean(2) for span in spans], 2)  # (B, D, stretches, V)
        member = torch.from_numpy(self.layout.membership(level)).to(features)
        groups = features @ (member / member.sum(1, keepdim=True)).T  # (B, D, stretches, P)
        return groups.flatten(1)


def build_encoder(
    config: BackboneConfig, layout: SkeletonLayout, *, channels: int, num_frames: int, stream: str
) -> SkeletonEncoder:
    """An encoder with fresh weights from the options of its network."""
    backbone = BACKBONES[config.name](config, layout, channels, num_frames)
    return SkeletonEncoder(backbone, stream)


def fresh_like(encoder: SkeletonEncoder, **options: Any) -> SkeletonEncoder:
    """The same encoder with fresh weights, on the CPU, read out by ``mean``; ``options`` change its network."""
    net = encoder.backbone
    config = net.config.model_copy(update=options)
    return build_encoder(config, net.layout, channels=net.channels, num_frames=net.num_frames, stream=encoder.stream)


def pool_persons(packed: Tensor, present: Tensor) -> Tensor:
    """Mean over the present persons of each clip: (B, ...), (N, M) -> (N, ...).

    A per-person loss pooled this way is a per-clip loss: every clip counts once, however many
    persons it holds.
    """
    clip = torch.arange(present.shape[0], device=present.device).repeat_interleave(present.sum(1))
    total = packed.new_zeros(present.shape[0], *packed.shape[1:]).index_add(0, clip, packed)
    count = present.sum(1).clamp(min=1).to(packed.dtype)
    return total / count.view(-1, *[1] * (packed.ndim - 1))
