"""Several pretexts at once, on one encoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.batch import Batch
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.pretexts.base import Pretext, View
from ssl_skel.pretexts.configs.combined import CombinedConfig
from ssl_skel.pretexts.table import SINGLE


class Combined(Pretext[CombinedConfig]):
    """Weighted sum of pretexts over one pass of the backbone for each distinct view.

    Ours. What parts log is logged under their names, as in ``psp.positive``.

    Raises:
        UserError: what the parts raise.
    """

    Config: ClassVar = CombinedConfig

    def __init__(self, config: CombinedConfig, encoder: SkeletonEncoder, layout: SkeletonLayout) -> None:
        super().__init__(config, encoder, layout)
        self.parts = nn.ModuleDict(
            {part.pretext.name: SINGLE[part.pretext.name](part.pretext, encoder, layout) for part in config.parts}
        )
        self.num_views = max(part.num_views for part in self.tasks)
        self.num_inputs = sum(part.num_inputs for part in self.tasks)
        self.couples_clips = any(part.couples_clips for part in self.tasks)

    @property
    def tasks(self) -> list[Pretext]:
        """The parts, in order."""
        return [part for part in self.parts.values() if isinstance(part, Pretext)]

    def views(self, batch: Batch) -> list[View]:
        """Those of all parts, one part after the other; a shared one stands more than once."""
        views = [view for part in self.tasks for view in part.views(batch)]
        if not self.config.share:
            return views
        hidden = {view.source: view for view in views if view.mask is not None and view.source is not None}
        return [hidden.get(view.source, view) if view.mask is None and view.source else view for view in views]

    def loss(self, batch: Batch, views: Sequence[View], features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Scalar ``loss``, the weighted sum, and what each part reports."""
        pairs = iter(zip(views, features, strict=True))
        scalars: dict[str, Tensor] = {}
        for name, part in zip(self.parts, self.tasks, strict=True):
            mine = list(islice(pairs, part.num_inputs))
            found = part.loss(batch, [view for view, _ in mine], [feature for _, feature in mine])
            scalars |= {f"{name}.{key}": value for key, value in found.items()}
        total = sum(part.weight * scalars[f"{part.pretext.name}.loss"] for part in self.config.parts)
        assert isinstance(total, Tensor)
        return {"loss": total, **scalars}

    @property
    def matches(self) -> Tensor | None:
        """Those of all parts that have some."""
        found = [part.matches for part in self.tasks]
        some = [pairs for pairs in found if pairs is not None]
        return torch.cat(some) if some else None

    def after_step(self, progress: float) -> None:
        """Pass it on to the parts."""
        for part in self.tasks:
            part.after_step(progress)
