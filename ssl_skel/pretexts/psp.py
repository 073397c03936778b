"""PSP Learning: two views of a motion must agree, from the whole body down to the joint."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.layers import Norm
from ssl_skel.batch import Batch
from ssl_skel.distributed import gather
from ssl_skel.encoders.encoder import SkeletonEncoder, pool_persons
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.pretexts.base import Pretext, View, encode_views
from ssl_skel.pretexts.configs.psp import PSPConfig
from ssl_skel.pretexts.contrast import info_nce
from ssl_skel.pretexts.neighbours import TIMES, Neighbours, describe
from ssl_skel.pretexts.sources import check_sources, draw_views
from ssl_skel.pretexts.stretches import Stretches, check_time_bins
from ssl_skel.pretexts.teacher import average_of, follow

_ALONE = "train.batch_size: psp compares clips, and a micro-batch holds a single one; raise it, lower train.accumulate"


class PPA(nn.Module):
    """Pyramid Polymerizing Attention: attend among bodies, parts and joints; coarser maps guide the finer.

    PSP Learning (Xu & Shu, arXiv 2302.02327; released code). A group is the mean of its joints. Maps are
    tanh(sum over channels and frames of q k / (d T)); to the map of a level the *own* maps of coarser levels
    are added, weighted by ``pyramid_weights``; an entry counts for all pairs of its groups' members.

    Departs from print: a level that is left out adds nothing to finer maps; queries, keys and values have no bias, and
    neither has the layer after them, whose norm would subtract it (released code, model/dstanet.py: both have).

    Args:
        dim: D of the features.
        config: levels (``clip`` and ``time`` have no attention), heads, weights, norm.
        layout: groups and how they nest.
    Shape:
        (B, D, T, V) -> one (B, D) per level except ``time``: its mean over frames and groups
    """

    def __init__(self, dim: int, config: PSPConfig, layout: SkeletonLayout) -> None:
        super().__init__()
        self.levels = [level for level in config.levels if level != "time"]
        self.heads, self.dim = config.heads, dim
        body_part, part_joint, body_joint = config.pyramid_weights
        self.weights = {
            ("body", "part"): body_part,
            ("part", "joint"): part_joint,
            ("body", "joint"): body_joint,
        }
        attended = [level for level in ("body", "part", "joint") if level in config.levels]
        self.qkv = nn.ModuleDict({level: nn.Linear(dim, 3 * dim, bias=False) for level in attended})
        self.leave = nn.ModuleDict(
            {level: nn.Sequential(nn.Linear(dim, dim, bias=False), Norm(dim, config.norm)) for level in attended}
        )
        member = {level: torch.from_numpy(layout.membership(level)) for level in attended}
        for level, groups in member.items():
            self.register_buffer(f"mean_{level}", groups / groups.sum(1, keepdim=True), persistent=False)
        for coarse, fine in combinations(attended, 2):
            owner = (member[fine] @ member[coarse].T).argmax(1)
            self.register_buffer(f"owner_{coarse}_{fine}", owner, persistent=False)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        x = features.permute(0, 2, 3, 1)  # (B, T, V, D)
        vectors, maps = {"clip": x.mean((1, 2))}, {}
        for level in self.qkv:
            groups = torch.matmul(getattr(self, f"mean_{level}"), x)  # (B, T, P, D)
            q, k, v = self.qkv[level](groups).unflatten(3, (3, self.heads, -1)).unbind(3)
            maps[level] = torch.tanh(torch.einsum("btphd,btqhd->bhpq", q, k) / (q.shape[-1] * q.shape[1]))
            attention = maps[level]
            for coarse in [name for name in maps if name != level]:
                owner = getattr(self, f"owner_{coarse}_{level}")
                attention = attention + self.weights[coarse, level] * maps[coarse][:, :, owner][..., owner]
            mixed = torch.einsum("bhpq,btqhd->btphd", attention, v).flatten(3)
            vectors[level] = functional.leaky_relu(groups + self.leave[level](mixed), 0.1).mean((1, 2))
        return {level: vectors[level] for level in self.levels}


class Contrast(nn.Module):
    """PPA and the shared MLP: features to one point per level on the unit sphere, one per stretch for ``time``.

    Paper silent: slope of LeakyReLU: 0.1, as elsewhere in its code.

    Shape:
        features (B, D, T, V), present (N, M) -> (points, N, P), as in ``PSPConfig.points``

    Raises:
        UserError: a single clip, where the MLP has BatchNorm.
    """

    def __init__(self, dim: int, config: PSPConfig, layout: SkeletonLayout) -> None:
        super().__init__()
        self.ppa = PPA(dim, config, layout)
        self.levels = config.levels
        self.stretches = Stretches(dim, config.time_bins, layout)
        width, self.mixes_clips = config.projection, config.projection_norm == "batch"
        norm = [nn.BatchNorm1d(width)] if self.mixes_clips else []
        self.mlp = nn.Sequential(nn.Linear(dim, width), *norm, nn.ReLU(), nn.Linear(width, width))

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        if self.mixes_clips and self.training and len(present) < 2:
            raise UserError(f"{_ALONE}, or give pretext.projection_norm none")
        pooled = self.ppa(features)
        vectors: list[Tensor] = []
        for level in self.levels:
            vectors += self.stretches(features) if level == "time" else [pooled[level]]
        return torch.stack([functional.normalize(self.mlp(pool_persons(vector, present)), dim=1) for vector in vectors])


class PSP(Pretext[PSPConfig]):
    """Coarse-to-fine contrast (CCL) between a joint view and a motion view through one encoder.

    PSP Learning (Xu & Shu, arXiv 2302.02327): InfoNCE at body, part and joint level, in both directions,
    summed over levels; the level ``time`` is the mean of its stretches. With more than two views: the mean over their
    pairs. Options add MoCo's momentum network and queue (He et al., CVPR 2020), and NNCLR's positives from neighbours.

    Departs from print: only persons who are present count, and each clip counts once; the paper includes absent ones in
    its averages. A view is a random crop of a clip, resampled (paper: 50 sorted frames at random, as with
    ``data.sampling: sorted``). Motion is the view's change from frame to frame, so its size depends on the length of
    the crop; the paper computes it on the recorded frames.

    Attributes:
        keys: the momentum network (backbone, PPA and MLP), if any; not trained by gradients.

    Raises:
        UserError: views of other channels than the encoder's, levels that the backbone does not keep, more stretches
            than its features have frames, or heads that do not divide its width; as it trains, a single clip with
            nothing to compare it to.
    """

    Config: ClassVar = PSPConfig
    couples_clips = True

    def __init__(self, config: PSPConfig, encoder: SkeletonEncoder, layout: SkeletonLayout) -> None:
        super().__init__(config, encoder, layout)
        net = encoder.backbone
        if net.dim % config.heads:
            raise UserError(f"pretext.heads: {config.heads} does not divide the backbone's width {net.dim}")
        if not net.keeps_joints and not set(config.levels) <= {"clip", "time"}:
            raise UserError("pretext.levels: this backbone merges joints; the levels that remain are clip and time")
        check_sources(config.views, encoder)
        if "time" in config.levels:
            check_time_bins(config.time_bins, net)
        self.num_views = self.num_inputs = len(config.views)
        self.head = Contrast(net.dim, config, layout)
        self.keys: nn.ModuleDict | None = None
        self.queue: Tensor
        self.oldest: Tensor
        if config.momentum is not None:
            self.keys = average_of(backbone=net, head=self.head)
        points = sum(map(len, config.points.values()))
        self.neighbours: Neighbours | None = None
        if config.neighbours is not None:
            described = layout.coordinates(encoder.channels) * layout.num_joints * min(TIMES, net.num_frames)
            self.neighbours = Neighbours(config.neighbours, (points, config.projection), described)
        if config.queue:
            shape = points, config.queue, config.projection
            self.register_buffer("queue", functional.normalize(torch.randn(shape), dim=2))
            self.register_buffer("oldest", torch.zeros((), dtype=torch.long))

    def views(self, batch: Batch) -> list[View]:
        """One draw of each clip for each of the configured streams."""
        return draw_views(self.encoder, batch, self.config.views)

    def loss(self, batch: Batch, views: Sequence[View], features: Sequence[Tensor]) -> dict[str, Tensor]:
        """CCL: ``loss``, and the mean cosine of ``positive`` and ``negative`` pairs."""
        queries = torch.stack([self.head(feature, batch.present) for feature in features])  # (K, points, n, P)
        keys, start = gather((queries if self.keys is None else self._keys(batch, views)).transpose(0, 2))
        keys = keys.transpose(0, 2)  # (K, points, N, P)
        if keys.shape[2] < 2 and not self.config.queue:
            raise UserError(f"{_ALONE}, or give pretext.momentum and queue")
        positives = self._positives(batch, keys)
        contrast = partial(info_nce, temperature=self.config.temperature, start=start)

        def compare(one: int, two: int, at: int) -> Tensor:
            """Loss, positive and negative (3,) of one view against another at one point."""
            queue = self.queue[at] if self.config.queue else None
            found = [contrast(queries[one][at], keys[one][at], other[two][at], queue=queue) for other in positives]
            return torch.stack([torch.stack(scalars) for scalars in found]).mean(0)

        terms = [
            torch.stack([compare(one, two, at) for at in points]).mean(0)
            for a, b in combinations(range(len(views)), 2)
            for one, two in ((a, b), (b, a))
            for points in self.config.points.values()
        ]
        loss, positive, negative = torch.stack(terms).mean(0)
        if self.config.queue and self.training:
            self._enqueue(keys)
        return {"loss": loss * len(self.config.levels), "positive": positive, "negative": negative}

    @property
    def matches(self) -> Tensor | None:
        """See ``Pretext``."""
        return None if self.neighbours is None else self.neighbours.matches

    def after_step(self, progress: float) -> None:
        """Move the momentum network."""
        if self.keys is not None and self.config.momentum is not None:
            follow(self.keys, (self.encoder.backbone, self.head), self.config.momentum)

    @torch.no_grad()
    def _keys(self, batch: Batch, views: Sequence[View]) -> Tensor:
        """Points (K, points, n, P) of the momentum network."""
        assert self.keys is not None
        backbone, head = self.keys.values()
        assert isinstance(backbone, Backbone)
        features = encode_views(backbone, views)
        return torch.stack([head(features[view], batch.present) for view in views])

    def _positives(self, batch: Batch, keys: Tensor) -> list[Tensor]:
        """What views are compared with, each (K, points, N, P) as the keys: themselves, or clips near them, or both."""
        if self.neighbours is None:
            return [keys]
        rows, poses = gather(batch.index)[0], [self._poses(batch, draw) for draw in range(len(keys))]
        found = [self.neighbours.find(*about, rows) for about in zip(keys, poses, strict=True)]
        near = [self.neighbours.keys[:, places] for places in found if places is not None]  # (points, count, N, P) each
        if self.training:
            self.neighbours.keep(keys[0], poses[0], rows, found[0])
        if not near:
            return [keys]
        own = [keys] if self.neighbours.config.own else []
        return own + list(torch.stack(near).to(keys.dtype).unbind(2))

    def _poses(self, batch: Batch, draw: int) -> Tensor | None:
        """All ranks' clips (N, A) as ``describe`` gives them, if neighbours are found that way."""
        if self.config.neighbours is None or self.config.neighbours.near != "poses":
            return None
        placed = self.encoder.place(batch.x[:, draw], batch.present)
        return gather(describe(placed, batch.present, self.layout))[0]

    @torch.no_grad()
    def _enqueue(self, keys: Tensor) -> None:
        """Put all ranks' keys of all views (K, points, N, P) in place of the oldest."""
        new = keys.transpose(0, 1).flatten(1, 2)[:, -self.config.queue :]
        at = (self.oldest + torch.arange(new.shape[1], device=new.device)) % self.config.queue
        self.queue[:, at] = new.to(self.queue.dtype)  # under autocast keys come in half precision
        self.oldest.copy_((at[-1] + 1) % self.config.queue)
