"""Augmentations of whose body moves: long or short bones, joints that an estimator places differently.

Every linear map that all joints share (rotation, shear, scaling, mirroring) leaves the proportions of a body nearly as
they were, and averages over time are blind to noise that is drawn anew each frame. So two draws of a clip can be
matched by body proportions alone, whatever it shows; what is drawn here, once for all frames, hides them.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ssl_skel.batch import Rng
from ssl_skel.data.augment.base import Augmentation
from ssl_skel.data.augment.config import BonesConfig, OffsetConfig
from ssl_skel.layouts import SkeletonLayout


class Bones(Augmentation[BonesConfig]):
    """Multiply the length of each bone by a uniform factor 1 +- amount; a person's factors hold for the whole clip.

    The body is rebuilt along the layout's tree: directions of bones and the path of the root stay, and a joint moves by
    the changes of all bones between it and the root. Persons have factors of their own. Ours.
    """

    Config: ClassVar = BonesConfig

    def __init__(self, config: BonesConfig, layout: SkeletonLayout) -> None:
        super().__init__(config, layout)
        self.parents = list(layout.parents)
        self.moves = torch.from_numpy(_descendants(layout)).float()

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        axes, amount = self.layout.coordinates(x.shape[1]), self.config.amount
        growth = rng.uniform(x.shape[4], x.shape[3], 1, low=-amount, high=amount) * self.moves.to(x.device)
        places = x[:, :axes].movedim(4, 1)  # (N, M, C, T, V), as the loader's clips are laid out in memory
        bones = places - places[..., self.parents]
        moves = (bones.flatten(2, 3) @ growth).view(bones.shape)
        moved = (places + moves).movedim(1, 4)
        return torch.cat([moved, x[:, axes:]], 1) if self.layout.score else moved


class Offset(Augmentation[OffsetConfig]):
    """Move each joint by a Gaussian vector of its own, the same in all frames of a clip.

    Where exactly in the body a joint is differs among sensors, estimators and people. Persons have vectors of their
    own. A motion stream does not see it. Ours.
    """

    Config: ClassVar = OffsetConfig
    keeps_zero = False

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        axes = self.layout.coordinates(x.shape[1])
        offset = self.config.sigma * rng.normal(axes, 1, x.shape[3], x.shape[4])
        return x + functional.pad(offset, (*(0,) * 7, x.shape[1] - axes))  # nothing is added to a score


def _descendants(layout: SkeletonLayout) -> np.ndarray:
    """(V, V) bool: row j is True at the joints that move as the bone from j to its parent grows, j among them."""
    moves = np.eye(layout.num_joints, dtype=bool)
    for joint in range(layout.num_joints):
        above = joint
        while layout.parents[above] != above:
            above = layout.parents[above]
            moves[above, joint] = True
    return moves
