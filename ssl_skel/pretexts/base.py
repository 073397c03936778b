"""The contract of a self-supervised task."""

from __future__ import annotations

from typing import ClassVar

from ssl_skel.backbones import SkeletonEncoder
from ssl_skel.config import RowConfig
from ssl_skel.layout import SkeletonLayout
from ssl_skel.task import Task


class Pretext(Task):
    """A task that needs no labels and trains ``self.encoder``.

    Construction is the same for all: ``Method(config, encoder, layout)``. Labels in the batch must
    not be read, and ``batch.rng`` is the only source of randomness.

    Attributes:
        Config: frozen options; its ``name`` is the row in ``PRETEXTS``.
        num_views: K, independent draws of each clip that the loader gives.
    """

    Config: ClassVar[type[RowConfig]]
    num_views: int = 1

    def __init__(self, config: RowConfig, encoder: SkeletonEncoder, layout: SkeletonLayout) -> None:
        super().__init__()
        self.config, self.encoder, self.layout = config, encoder, layout
