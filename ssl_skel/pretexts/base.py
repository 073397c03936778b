"""The contract of a self-supervised task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic

import torch
from torch import Tensor
from typing_extensions import TypeVar

from ssl_skel.backbones.base import Backbone
from ssl_skel.batch import Batch
from ssl_skel.config import EntryConfig
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.pretexts.masking.masks import Masking
from ssl_skel.task import Task

ConfigT = TypeVar("ConfigT", bound=EntryConfig, covariant=True, default=EntryConfig)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One input of the backbone.

    Attributes:
        x: a stream of packed persons, (B, C, T, V).
        mask: (B, T / u, V) bool, True = HIDDEN; or None.
        source: draw of the clip and name of the stream. Views of one source and batch differ by their mask
            at most, so one may replace the other; None: not to be shared.
        drops_frames: frames of which no joint is seen do not enter the backbone. Each person must have as many.
    """

    x: Tensor
    mask: Tensor | None = None
    source: tuple[int, str] | None = None
    drops_frames: bool = False


class Pretext(Task, Generic[ConfigT]):
    """A task that needs no labels and trains ``self.encoder``: views of a batch, and a loss on their features.

    Construction is the same for all: ``Method(config, encoder, layout)``. Labels in the batch must
    not be read, and ``batch.rng`` is the only source of randomness.

    Attributes:
        Config: frozen options; its ``name`` is the entry in ``PRETEXTS``.
        num_views: K, independent draws of each clip that the loader gives.
        num_inputs: how many views ``views`` returns.
        couples_clips: the loss compares clips with each other. Ranks then share their features, and
            with ``train.accumulate`` a clip meets only those of its micro-batch.
    """

    Config: ClassVar[type[EntryConfig]]
    config: ConfigT
    num_views: int = 1
    num_inputs: int = 1
    couples_clips: bool = False

    def __init__(self, config: ConfigT, encoder: SkeletonEncoder, layout: SkeletonLayout) -> None:
        super().__init__()
        self.config, self.encoder, self.layout = config, encoder, layout

    @property
    def matches(self) -> Tensor | None:
        """(R, 2) int64 rows of the store: clips, and another that served as positive for each; None: none does."""
        return None

    def check_frames(self, batch: Batch) -> None:
        """Refuse clips of another length than the encoder was built for, where heads depend on it.

        Raises:
            ValueError: saying both lengths.
        """
        if batch.x.shape[3] != self.encoder.backbone.num_frames:
            raise ValueError(f"T must be {self.encoder.backbone.num_frames}, got {batch.x.shape[3]}")

    @abstractmethod
    def views(self, batch: Batch) -> list[View]:
        """The inputs of the backbone for a batch."""

    @abstractmethod
    def loss(self, batch: Batch, views: Sequence[View], features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Scalars to log, ``loss`` among them, from the backbone's features (B, D, Tp, Vp) of each view."""

    def _hide(self, batch: Batch, mask: Masking, unit: int, drops_frames: bool = False) -> View:
        """The first draw of each clip, with what the mask draws hidden, in units of so many frames."""
        x = batch.x[:, 0]
        hidden = mask(batch.rng, x, unit)[batch.present]
        return View(self.encoder.pack(x, batch.present), hidden, (0, self.encoder.stream), drops_frames)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars of one batch; ``loss`` is minimised."""
        views = self.views(batch)
        features = encode_views(self.encoder.backbone, views)
        return self.loss(batch, views, [features[view] for view in views])


def encode_views(backbone: Backbone, views: Sequence[View]) -> dict[View, Tensor]:
    """Features of each view, computed once if it occurs twice. Whole views of equal frames go through together.

    BatchNorm then has one mean over all of them in training as it has afterwards, as in PSP's released code; in
    separate passes a joint and a motion view would each be normed on their own, and later by a mixture that neither was
    trained with.
    """
    distinct = dict.fromkeys(views)
    features = {view: _encode_masked(backbone, view, view.mask) for view in distinct if view.mask is not None}
    whole: dict[int, list[View]] = {}
    for view in distinct:
        if view.mask is None:
            whole.setdefault(view.x.shape[2], []).append(view)
    for group in whole.values():
        grids = backbone(torch.cat([view.x for view in group])).split([len(view.x) for view in group])
        features |= dict(zip(group, grids, strict=True))
    return features


def _encode_masked(backbone: Backbone, view: View, mask: Tensor) -> Tensor:
    """Features of one view; those of frames that do not enter the backbone are zeros."""
    if not view.drops_frames:
        return backbone(view.x, mask)
    seen = ~mask.all(2)  # (B, U)
    clips, units = seen.shape
    x = view.x.unflatten(2, (units, -1)).movedim(2, 1)[seen].unflatten(0, (clips, -1)).movedim(1, 2).flatten(2, 3)
    found = backbone(x, mask[seen].unflatten(0, (clips, -1)))
    grid = found.new_zeros(clips, units, found.shape[1], view.x.shape[2] // backbone.t_stride // units, found.shape[3])
    grid[seen] = found.unflatten(2, (-1, grid.shape[3])).movedim(2, 1).flatten(0, 1)
    return grid.movedim(1, 2).flatten(2, 3)
