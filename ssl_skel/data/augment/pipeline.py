"""Several augmentations, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ssl_skel.batch import Rng
from ssl_skel.config import EntryConfig
from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.layouts import SkeletonLayout


class Augment:
    """Augmentations one after the other; absent persons stay zero.

    Args:
        configs: entries of ``AUGMENTATIONS``, in the order in which they are applied.
        layout: joints of the clips.
    """

    def __init__(self, configs: Sequence[EntryConfig], layout: SkeletonLayout) -> None:
        self.steps = [AUGMENTATIONS[config.name](config, layout) for config in configs]

    def __call__(self, x: Tensor, present: Tensor, rng: Rng) -> Tensor:
        """Changed clips (N, C, T, V, M), from joints ``x`` of that shape and ``present`` (N, M) bool."""
        for step in self.steps:
            x = step(x, rng)
        if all(step.keeps_zero for step in self.steps):
            return x
        return x * present[:, None, None, None].to(x.dtype)
