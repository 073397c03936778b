"""Augmentations of where a body is: turned, sheared, scaled, mirrored."""

from __future__ import annotations

import functools
from typing import ClassVar

import torch
from torch import Tensor

from ssl_skel.batch import Rng
from ssl_skel.data.augment.base import Augmentation
from ssl_skel.data.augment.config import FlipConfig, RotateConfig, ScaleConfig, ShearConfig

SPIN = {
    2: torch.tensor([[[0.0, -1.0], [1.0, 0.0]]]),
    3: torch.tensor(
        [
            [[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]],
            [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 0.0]],
            [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        ]
    ),
}
"""Per number of coordinates C, what an infinitely small turn about each axis adds, (A, C, C); a plane has one axis."""


class Rotate(Augmentation[RotateConfig]):
    """Turn the clip: one uniform angle in +-max_degrees per axis, R = Rz Ry Rx.

    CTR-GCN (Chen et al., ICCV 2021), feeders/tools.py. The matrices are made by Rodrigues' formula. With two
    coordinates the z angle turns in the plane.
    """

    Config: ClassVar = RotateConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        axes = self.layout.coordinates(x.shape[1])
        spin = SPIN[axes].to(x.device)
        limit = torch.tensor(self.config.max_degrees, device=x.device).expand(3)
        angle = torch.deg2rad(rng.uniform(3, low=-1, high=1) * limit)[:, -len(spin) :, None, None]
        turn = torch.eye(axes, device=x.device) + angle.sin() * spin + (1 - angle.cos()) * (spin @ spin)
        return _linear(x, functools.reduce(torch.matmul, turn.flip(1).unbind(1)))


class Shear(Augmentation[ShearConfig]):
    """Add to each coordinate a uniform +-amount of each other one: unit diagonal, the rest random.

    AimCLR (Guo et al., AAAI 2022), feeder/tools.py.
    """

    Config: ClassVar = ShearConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        axes = self.layout.coordinates(x.shape[1])
        matrix = rng.uniform(axes, axes, low=-self.config.amount, high=self.config.amount)
        matrix.diagonal(dim1=1, dim2=2).fill_(1)
        return _linear(x, matrix)


class Scale(Augmentation[ScaleConfig]):
    """Make the clip larger or smaller by a uniform factor.

    PYSKL (Duan et al., ACM MM 2022), RandomScale.
    Departs from print: one factor for all coordinates unless ``per_axis``, which keeps a body's proportions.
    """

    Config: ClassVar = ScaleConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        axes = self.layout.coordinates(x.shape[1])
        factor = rng.uniform(axes if self.config.per_axis else 1, 1, 1, 1, low=self.config.low, high=self.config.high)
        if self.layout.score:
            factor = torch.cat([factor.expand(-1, axes, -1, -1, -1), torch.ones_like(factor[:, :1])], 1)
        return x * factor


class Flip(Augmentation[FlipConfig]):
    """Mirror image: x changes its sign, left joints change places with right ones.

    Departs from print: AimCLR's spatial flip swaps the joints but not the sign of x, which twists the body.
    """

    Config: ClassVar = FlipConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        other = torch.tensor(self.layout.mirror, device=x.device).view(1, 1, 1, -1, 1).expand(x.shape)
        mirrored = x.gather(3, other)
        mirrored[:, 0].neg_()
        return torch.where(rng.uniform(1, 1, 1, 1) < self.config.probability, mirrored, x)


def _linear(x: Tensor, matrix: Tensor) -> Tensor:
    """Multiply every point of clips (N, C, T, V, M) by the clip's matrix, (N, C, C), or smaller for the first channels.

    Works person by person, (N, M, C, T * V), which is how the loader's clips are laid out in memory.
    """
    if matrix.shape[1] < x.shape[1]:
        return torch.cat([_linear(x[:, : matrix.shape[1]], matrix), x[:, matrix.shape[1] :]], 1)
    persons = x.movedim(4, 1)
    return (matrix[:, None] @ persons.flatten(3)).view(persons.shape).movedim(1, 4)
