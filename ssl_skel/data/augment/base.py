"""The contract of an augmentation.

An augmentation works on ``(N, C, T, V, M)`` and changes all persons and frames of a clip alike, unless it says
otherwise. It never writes into its input, and the result for one clip does not depend on the others. Bodies are turned,
scaled and mirrored about the origin, where normalisation puts the centre of a clip. A score, where the layout has one,
follows its joint and frame and is otherwise left alone.

The streams (bone, motion) are computed later, from the augmented joints.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic

from torch import Tensor
from typing_extensions import TypeVar

from ssl_skel.batch import Rng
from ssl_skel.config import EntryConfig
from ssl_skel.layouts import SkeletonLayout

ConfigT = TypeVar("ConfigT", bound=EntryConfig, covariant=True, default=EntryConfig)


class Augmentation(ABC, Generic[ConfigT]):
    """One random change of clips, an entry of ``AUGMENTATIONS``.

    Construction is the same for all: ``Entry(config, layout)``.

    Attributes:
        Config: frozen options; its ``name`` is the entry.
        keeps_zero: an absent person, who is zero, comes out zero.
    """

    Config: ClassVar[type[EntryConfig]]
    keeps_zero: ClassVar[bool] = True

    def __init__(self, config: ConfigT, layout: SkeletonLayout) -> None:
        self.config, self.layout = config, layout

    @abstractmethod
    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        """Changed clips.

        Args:
            x: joints (N, C, T, V, M); left as they are.
            rng: random numbers with N rows, on the device of ``x``.

        Returns:
            The same shape.
        """
