"""SLiM: masked modelling without a decoder, together with agreement of short and long views, through prototypes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.batch import Batch
from ssl_skel.distributed import gather
from ssl_skel.encoders.encoder import SkeletonEncoder, pool_persons
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.pretexts.base import Pretext, View
from ssl_skel.pretexts.configs.slim import SLiMConfig
from ssl_skel.pretexts.decorrelation import check_clips
from ssl_skel.pretexts.losses import mean_of_hidden
from ssl_skel.pretexts.masking import MASKS
from ssl_skel.pretexts.masking.draw import cells_with_hidden
from ssl_skel.pretexts.sources import cut
from ssl_skel.pretexts.teacher import Centre, average_of, cross_entropy, follow, rising


class PrototypeHead(nn.Module):
    """An MLP to a point on the unit sphere, and its cosine with each prototype.

    DINO (Caron et al., ICCV 2021), whose last layer has weight norm.

    Shape:
        (..., D) -> (..., prototypes)
    """

    def __init__(self, dim: int, config: SLiMConfig) -> None:
        super().__init__()
        hidden, out = config.head_hidden, config.head_bottleneck
        layers = nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, out)
        self.mlp = nn.Sequential(*layers)
        self.prototypes = nn.Parameter(torch.randn(config.prototypes, out))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(
            functional.normalize(self.mlp(x), dim=-1), functional.normalize(self.prototypes, dim=-1)
        )


def koleo(points: Tensor) -> Tensor:
    """Minus the mean logarithm of each point's distance to its nearest, on the unit sphere: (N, D) -> scalar.

    KoLeo (Sablayrolles et al., ICLR 2019), as DINOv2 and SLiM use it.
    """
    points = functional.normalize(points.float(), dim=1)
    with torch.no_grad():
        nearest = (points @ points.T).fill_diagonal_(-2).argmax(1)
    return -((points - points[nearest]).norm(dim=1) + 1e-8).log().mean()


class SLiM(Pretext[SLiMConfig]):
    """Decoder-free masked modelling and contrast without negatives, through one student and its average.

    SLiM (Do et al., arXiv 2603.10648; released code), after DINOv2. Two draws of a clip are its global views, some with
    parts hidden over stretches of time; short windows of them, resolved as finely, are its local views. A teacher
    sees the global views whole. Loss: ``clips`` * cross-entropy between the prototypes of each view's clip and those of
    the other draw's (a local view: of both) + ``cells`` * that of hidden cells with the same cell of the teacher +
    ``spread`` * KoLeo.

    Departs from print: a clip is the mean of its cells and persons, where SLiM has a class token for each person; the
    teacher's outputs are centred (an option of the release, whose default is Sinkhorn-Knopp); a local view is cut from
    a global one as it was drawn, with its augmentation, and not resampled; the teacher's temperature is constant and
    prototypes learn from the first step; see the options for masks and sizes. Where the network merges joints, a time
    is predicted if any joint of it is hidden.

    Attributes:
        teacher: the average of the backbone and both heads; not trained by gradients.

    Raises:
        UserError: a network without features of what is hidden, frames that the unit does not divide, or a mask that
            hides nothing or everything; as it trains, a single clip, which has no neighbour.
    """

    Config: ClassVar = SLiMConfig
    num_views = 2
    couples_clips = True

    def __init__(self, config: SLiMConfig, encoder: SkeletonEncoder, layout: SkeletonLayout) -> None:
        super().__init__(config, encoder, layout)
        net, step = encoder.backbone, math.lcm(config.unit, encoder.backbone.t_stride)
        if net.drops_hidden:
            raise UserError(
                f"pretext: slim predicts by the features of what is hidden, and {net.config.name} computes none; use "
                "another network, or skeleton_mae"
            )
        if net.num_frames % step:
            raise UserError(f"pretext.unit: {net.num_frames} frames are not a multiple of {step}; change one")
        self.mask = MASKS[config.mask.name](config.mask, layout)
        self.lengths = Counter(max(1, round(share * net.num_frames / step)) * step for share in config.local_shares)
        for length in (net.num_frames, *self.lengths):
            self.mask.check(length // config.unit)
        self.num_inputs = 1 + len(self.lengths)
        self.clip_head, self.cell_head = PrototypeHead(net.dim, config), PrototypeHead(net.dim, config)
        self.teacher = average_of(backbone=net, clip_head=self.clip_head, cell_head=self.cell_head)
        self.clip_centre, self.cell_centre = Centre(config.prototypes), Centre(config.prototypes)

    def views(self, batch: Batch) -> list[View]:
        """Both global views, one after the other, in one; then all local views of each length.

        Raises:
            ValueError: clips of another length than the encoder was built for.
        """
        persons, frames = batch.present.shape[1], self.encoder.backbone.num_frames
        self.check_frames(batch)
        draws, found = batch.x.unbind(1), []
        masked = [batch.rng.uniform(persons)[batch.present] < self.config.masked for _ in draws]
        whole = [self._view(batch, x) for x in draws]
        found.append(_joined([(x, mask & on[:, None, None]) for (x, mask), on in zip(whole, masked, strict=True)]))
        for length, count in self.lengths.items():
            starts = [batch.rng.uniform(1, high=frames - length + 1).long() for _ in range(count * len(draws))]
            found.append(
                _joined(
                    [
                        self._view(batch, cut(draws[at % len(draws)], start.clamp(max=frames - length), length))
                        for at, start in enumerate(starts)
                    ]
                )
            )
        return found

    def loss(self, batch: Batch, views: Sequence[View], features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Scalar ``loss``, and its three parts before they are weighted."""
        check_clips(batch.present, self.config.name)
        present, persons = batch.present, int(batch.present.sum())
        cells = _cells(features[0])
        students = [[pool_persons(part.mean((2, 3)), present) for part in grid.split(persons)] for grid in features]
        with torch.no_grad():
            seen = self.teacher["backbone"](views[0].x)
            clips = torch.stack([pool_persons(part.mean((2, 3)), present) for part in seen.split(persons)])
            outputs, targets = self.teacher["clip_head"](clips), self.teacher["cell_head"](_cells(seen))
        wanted = self.clip_centre.sharpened(outputs, self.config.teacher_temperature)
        parts = {
            "clips": self._agreement(students, wanted),
            "cells": self._hidden(views[0], cells, targets, present),
            "spread": torch.stack([koleo(gather(clip)[0]) for clip in students[0]]).sum(),
        }
        self.clip_centre.update(outputs.transpose(0, 1), torch.ones_like(present[:, :1]))
        self.cell_centre.update(targets, torch.cat([present, present]))
        total = sum(getattr(self.config, name) * value for name, value in parts.items())
        assert isinstance(total, Tensor)
        return {"loss": total, **parts}

    def after_step(self, progress: float) -> None:
        """Move the teacher."""
        student = self.encoder.backbone, self.clip_head, self.cell_head
        follow(self.teacher, student, rising(self.config.momentum, progress))

    def _view(self, batch: Batch, x: Tensor) -> tuple[Tensor, Tensor]:
        """A draw or a window of it (N, C, T, V, M), packed, and a mask for it."""
        return self.encoder.pack(x, batch.present), self.mask(batch.rng, x, self.config.unit)[batch.present]

    def _agreement(self, students: list[list[Tensor]], wanted: Tensor) -> Tensor:
        """Mean over all pairs of a student's view and a teacher's global one (2, N, P) that is not the same."""
        terms = []
        for kind, clips in enumerate(students):
            for at, clip in enumerate(clips):
                outputs = self.clip_head(clip)
                others = [other for other in range(len(wanted)) if kind or other != at]
                terms += [cross_entropy(outputs, wanted[other], self.config.temperature).mean() for other in others]
        return torch.stack(terms).mean()

    def _hidden(self, view: View, cells: Tensor, targets: Tensor, present: Tensor) -> Tensor:
        """Mean over the hidden cells of the global views; zero for a person of whom nothing is hidden."""
        assert view.mask is not None
        wanted = self.cell_centre.sharpened(targets, self.config.teacher_temperature)
        errors = cross_entropy(self.cell_head(cells), wanted, self.config.temperature)
        counts = cells_with_hidden(view.mask, view.x.shape[2], cells.shape[1:3])
        return mean_of_hidden(errors, counts, torch.cat([present, present]))


def _joined(views: Sequence[tuple[Tensor, Tensor]]) -> View:
    inputs, masks = zip(*views, strict=True)
    return View(torch.cat(inputs), torch.cat(masks))


def _cells(features: Tensor) -> Tensor:
    """(B, D, Tp, Vp) -> (B, Tp, Vp, D)."""
    return features.permute(0, 2, 3, 1)
