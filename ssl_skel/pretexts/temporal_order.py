"""TemporalOrder: cut a clip into segments, shuffle them, and predict their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.batch import Batch, Rng
from ssl_skel.encoders.encoder import SkeletonEncoder, pool_persons
from ssl_skel.encoders.streams import on_coordinates
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.pretexts.base import Pretext, View
from ssl_skel.pretexts.configs.temporal_order import TemporalOrderConfig
from ssl_skel.pretexts.sources import cut


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Shuffled(View):
    """Segments of all clips, n of each in shuffled order, each packed as a clip.

    Attributes:
        label: (N,) int64, number of each clip's order in lexicographic order.
    """

    label: Tensor


class PairwiseHead(nn.Module):
    """A hidden layer on each pair of segments, then one layer on all pairs.

    VCOP (Xu et al., CVPR 2019). Departs from print: no dropout between the two; the task of a batch
    must follow from the batch.

    Shape:
        (N, n, D) -> (N, n!)
    """

    def __init__(self, dim: int, width: int, clips: int) -> None:
        super().__init__()
        self.first, self.second = zip(*combinations(range(clips), 2), strict=True)
        self.pair = nn.Linear(2 * dim, width)
        self.leave = nn.Linear(len(self.first) * width, math.factorial(clips))

    def forward(self, features: Tensor) -> Tensor:
        pairs = torch.cat([features[:, self.first], features[:, self.second]], 2)  # (N, n (n - 1) / 2, 2 D)
        return self.leave(self.pair(pairs).relu().flatten(1))


class LSTMHead(nn.Module):
    """An LSTM over the shuffled segments; its last state predicts the order.

    Wang et al., WACV 2021. Paper silent: layers and what is read; one layer, and its last state.

    Shape:
        (N, n, D) -> (N, n!)
    """

    def __init__(self, dim: int, width: int, clips: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, width, batch_first=True)
        self.leave = nn.Linear(width, math.factorial(clips))

    def forward(self, features: Tensor) -> Tensor:
        return self.leave(self.lstm(features)[0][:, -1])


class TemporalOrder(Pretext[TemporalOrderConfig]):
    """Order prediction: segments of a clip are shuffled, and their order in time is predicted.

    Wang, Yang, Rong, Feng & Tian (WACV 2021), on point clouds; segments and the pairwise head of VCOP (Xu
    et al., CVPR 2019), on video. Each segment goes through the encoder on its own; its feature is the mean
    over frames and joints, then over the persons present. Cross-entropy over the n! orders.

    Paper silent: number, length and place of the segments. They have one length, are anywhere in the clip's T frames
    with at least ``gap`` frames between two, and their positions and order are those of the clip: the same for all its
    persons.

    Label k stands for the k-th permutation in lexicographic order: its i-th number says which segment in time is at
    position i.

    Raises:
        UserError: segments that the backbone's stride does not divide, or for which a clip is too short.
    """

    Config: ClassVar = TemporalOrderConfig

    def __init__(self, config: TemporalOrderConfig, encoder: SkeletonEncoder, layout: SkeletonLayout) -> None:
        super().__init__(config, encoder, layout)
        net = encoder.backbone
        free = net.num_frames - (config.clips - 1) * config.gap
        longest = free // (config.clips * net.t_stride) * net.t_stride
        self.frames = longest if config.frames is None else config.frames
        if self.frames % net.t_stride:
            raise UserError(f"pretext.frames: {self.frames} is not a multiple of {net.t_stride}, the backbone's stride")
        if longest <= 0 or self.frames > longest:
            shortest = config.clips * max(self.frames, net.t_stride) + (config.clips - 1) * config.gap
            raise UserError(
                f"data.num_frames: {net.num_frames} frames are too short for {config.clips} segments of "
                f"{max(self.frames, net.t_stride)} with gaps of {config.gap}; take {shortest} or more, "
                "or lower pretext.clips, frames or gap"
            )
        self.room = free - config.clips * self.frames
        self.orders: Tensor  # (n!, n)
        self.register_buffer("orders", torch.tensor(list(permutations(range(config.clips)))), persistent=False)
        kind = PairwiseHead if config.head == "pairwise" else LSTMHead
        self.head = kind(net.dim, config.head_dim, config.clips)

    def draw(self, rng: Rng) -> tuple[Tensor, Tensor]:
        """First frame of each segment in shuffled order, (N, n) int64, and the label (N,)."""
        clips, classes = self.orders.shape[1], len(self.orders)
        spare = rng.uniform(clips, high=self.room + 1).long().clamp(max=self.room).sort(1).values
        starts = spare + torch.arange(clips, device=spare.device) * (self.frames + self.config.gap)
        label = rng.uniform(high=classes).long().clamp(max=classes - 1)
        return starts.gather(1, self.orders[label]), label

    def cut(self, x: Tensor, starts: Tensor) -> Tensor:
        """Segments of joints: (N, C, T, V, M), first frames (N, n) -> (N * n, C, frames, V, M)."""
        segments = cut(x, starts, self.frames)
        if self.config.recentre:
            centre = slice(self.layout.centre, self.layout.centre + 1)
            segments = on_coordinates(segments, self.layout, lambda joints: joints - joints[:, :, :1, centre, :1])
        return segments

    def views(self, batch: Batch) -> list[View]:
        """One view: the segments of the first draw of each clip, shuffled.

        Raises:
            ValueError: clips of another length than the encoder was built for.
        """
        self.check_frames(batch)
        starts, label = self.draw(batch.rng)
        return [Shuffled(self.encoder.pack(self.cut(batch.x[:, 0], starts), self._present(batch)), label=label)]

    def loss(self, batch: Batch, views: Sequence[View], features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Scalars ``loss`` and ``accuracy``, the share of clips whose order was predicted."""
        (view,), (feature,) = views, features
        assert isinstance(view, Shuffled)
        segments = pool_persons(feature.mean((2, 3)), self._present(batch))
        logits = self.head(segments.unflatten(0, (-1, self.config.clips)))
        accuracy = (logits.argmax(1) == view.label).float().mean()
        return {"loss": functional.cross_entropy(logits, view.label), "accuracy": accuracy}

    def _present(self, batch: Batch) -> Tensor:
        """Persons of each segment, (N * n, M)."""
        return batch.present.repeat_interleave(self.config.clips, 0)
