"""SkeletonEncoder: clips of one or several persons through a backbone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.encoders.extents import to_extent
from ssl_skel.encoders.pooling import Pooling
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.encoders.stream_names import Extent
from ssl_skel.encoders.streams import stream_channels, to_stream
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout


class SkeletonEncoder(nn.Module):
    """Joint coordinates in, features out: extent, stream, packing of present persons, backbone, pooling.

    The encoder owns its extent and stream, so callers feed it plain joints. Only persons who are present enter the
    backbone: no zero-filled second person ever meets a norm or a mean.

    Args:
        backbone: the network.
        stream: an entry of ``STREAMS``, computed from the joints before the backbone.
        pooling: how the grid becomes a clip's vector; default: ``PoolingConfig.default`` of the backbone.
        extent: how a clip is moved and scaled before its stream is computed; see ``to_extent``.
        channels: C, coordinates of a joint and its score; default: as many as the backbone takes.

    Attributes:
        pooling: the module that does so; fixed, see ``with_pooling``.

    Raises:
        UserError: a pooling by groups of joints for a backbone that merges joints.
        ValueError: the stream has more or fewer channels than the backbone takes.
    """

    def __init__(
        self,
        backbone: Backbone,
        stream: str = "joint",
        pooling: PoolingConfig | None = None,
        extent: Extent = "none",
        channels: int | None = None,
    ) -> None:
        super().__init__()
        pooling = pooling or PoolingConfig.default(backbone.keeps_joints)
        if pooling.over != "mean" and not backbone.keeps_joints:  # merged joints may be as many as there were
            raise UserError(f"pooling: {pooling} needs joints, and {backbone.config.name} merges them; use mean")
        self.backbone = backbone
        self.stream, self.extent = stream, extent
        self.channels = backbone.channels if channels is None else channels
        if (given := stream_channels(stream, backbone.layout, self.channels)) != backbone.channels:
            raise ValueError(f"the stream {stream} has {given} channels, the backbone takes {backbone.channels}")
        self.layout = backbone.layout
        self.pooling = Pooling(pooling, backbone.layout, backbone.dim)

    @property
    def dim(self) -> int:
        """Length of a clip's vector."""
        return self.pooling.dim

    def with_pooling(self, pooling: PoolingConfig) -> SkeletonEncoder:
        """Another encoder around the same backbone: it shares all weights, and the mode of the backbone.

        Raises:
            UserError: as on construction.
        """
        other = SkeletonEncoder(self.backbone, self.stream, pooling, self.extent, self.channels)
        other.training = self.training
        return other

    def place(self, x: Tensor, present: Tensor) -> Tensor:
        """Joints in the encoder's extent: (N, C, T, V, M), (N, M) -> the same shape."""
        return to_extent(x, present, self.extent, self.layout)

    def see(self, x: Tensor, present: Tensor, stream: str | None = None) -> Tensor:
        """A stream, by default its own, of the joints in its extent: (N, C, T, V, M), (N, M) -> (N, S, T, V, M)."""
        return to_stream(self.place(x, present), present, stream or self.stream, self.layout)

    def pack(self, x: Tensor, present: Tensor) -> Tensor:
        """Present persons of what the encoder sees: (N, C, T, V, M), (N, M) -> (B, S, T, V), clip by clip."""
        return self.see(x, present).permute(0, 4, 1, 2, 3)[present]

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
        """Clip vectors (N, dim): joints (N, C, T, V, M) and present (N, M), pooled, mean over the persons present."""
        return pool_persons(self.pooling(self.forward_features(x, present)), present)


def build_encoder(
    config: BackboneConfig,
    layout: SkeletonLayout,
    *,
    channels: int,
    num_frames: int,
    stream: str,
    pooling: PoolingConfig | None = None,
    extent: Extent = "none",
) -> SkeletonEncoder:
    """An encoder with fresh weights from the options of its network; ``channels`` are a joint's, not the stream's.

    Raises:
        UserError: a network or pooling that cannot take the stream.
    """
    backbone = BACKBONES[config.name](config, layout, stream_channels(stream, layout, channels), num_frames)
    return SkeletonEncoder(backbone, stream, pooling, extent, channels)


def fresh_like(encoder: SkeletonEncoder, **options: Any) -> SkeletonEncoder:
    """The same encoder with fresh weights, on the CPU; ``options`` change its network."""
    net = encoder.backbone
    return build_encoder(
        net.config.model_copy(update=options),
        net.layout,
        channels=encoder.channels,
        num_frames=net.num_frames,
        stream=encoder.stream,
        pooling=encoder.pooling.config,
        extent=encoder.extent,
    )


def pool_persons(packed: Tensor, present: Tensor) -> Tensor:
    """Mean over the present persons of each clip: (B, ...), (N, M) -> (N, ...).

    A per-person loss pooled this way is a per-clip loss: every clip counts once, however many
    persons it holds.
    """
    clip = torch.arange(present.shape[0], device=present.device).repeat_interleave(present.sum(1))
    total = packed.new_zeros(present.shape[0], *packed.shape[1:]).index_add(0, clip, packed)
    count = present.sum(1).clamp(min=1).to(packed.dtype)
    return total / count.view(-1, *[1] * (packed.ndim - 1))
