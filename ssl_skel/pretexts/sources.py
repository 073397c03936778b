"""What views are made of: a stream of a draw, or windows of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ssl_skel.batch import Batch
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.streams import motion, on_coordinates, stream_channels
from ssl_skel.errors import UserError
from ssl_skel.pretexts.base import View
from ssl_skel.pretexts.configs.sources import Source


def check_sources(sources: Sequence[Source], encoder: SkeletonEncoder) -> None:
    """Refuse streams that the encoder's network cannot take.

    Raises:
        UserError: naming the first.
    """
    for source in sources:
        stream = encoder.stream if source in ("own", "own_motion") else source
        given, taken = stream_channels(stream, encoder.layout, encoder.channels), encoder.backbone.channels
        if given != taken:
            raise UserError(
                f"pretext.views: {source} has {given} channels, and the encoder's stream {encoder.stream} has {taken}; "
                "one network takes both, so leave it out or change data.stream"
            )


def draw_views(encoder: SkeletonEncoder, batch: Batch, sources: Sequence[Source]) -> list[View]:
    """A draw of each clip for each source, in order."""
    return [_view(encoder, batch, draw, source) for draw, source in enumerate(sources)]


def _view(encoder: SkeletonEncoder, batch: Batch, draw: int, source: Source) -> View:
    stream = encoder.stream if source in ("own", "own_motion") else source
    x = encoder.see(batch.x[:, draw], batch.present, stream)
    if source == "own_motion":
        x, stream = on_coordinates(x, encoder.layout, motion), f"{stream} motion"
    return View(x.permute(0, 4, 1, 2, 3)[batch.present], None, (draw, stream))


def cut(x: Tensor, starts: Tensor, frames: int) -> Tensor:
    """Windows of this many frames: (N, C, T, V, M), first frames (N, n) -> (N * n, C, frames, V, M)."""
    at = starts[..., None] + torch.arange(frames, device=x.device)  # (N, n, frames)
    clip = torch.arange(len(x), device=x.device)[:, None, None]
    return x.movedim(2, 1)[clip, at].flatten(0, 1).movedim(1, 2)
