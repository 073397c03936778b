"""Augmentations of a whole batch at once: pure functions of joints and random numbers.

Each works on ``(N, C, T, V, M)`` and changes all persons and frames of a clip alike, unless it says
otherwise. It never writes into its input, and what one clip becomes does not depend on the others.
They turn, scale and mirror about the origin, where normalisation puts the centre of a clip. A score, where the layout
has one, follows its joint and frame and is otherwise left alone.

The streams (bone, motion) are computed later, from the augmented joints.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ssl_skel.batch import Rng
from ssl_skel.config import RowConfig
from ssl_skel.layouts import SkeletonLayout

Share = Annotated[float, Field(ge=0, le=1)]
Degrees = Annotated[float, Field(ge=0, le=180)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]

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


class Augmentation(ABC):
    """One random change of clips, a row of ``AUGMENTATIONS``.

    Construction is the same for all: ``Row(config, layout)``.

    Attributes:
        Config: frozen options; its ``name`` is the row.
        keeps_zero: an absent person, who is zero, comes out zero.
    """

    Config: ClassVar[type[RowConfig]]
    keeps_zero: ClassVar[bool] = True

    def __init__(self, config: RowConfig, layout: SkeletonLayout) -> None:
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


class RotateConfig(RowConfig):
    """Options of ``Rotate``."""

    name: Literal["rotate"] = "rotate"
    max_degrees: Degrees | tuple[Degrees, Degrees, Degrees] = 17.2
    """Largest angle, for all axes or one each for x, y, z; [0, 180, 0] turns about the upright axis only.
    Default 0.3 rad (CTR-GCN, feeders/tools.py)."""


class Rotate(Augmentation):
    """Turn the clip: one uniform angle in +-max_degrees per axis, R = Rz Ry Rx.

    CTR-GCN (Chen et al., ICCV 2021), feeders/tools.py. The matrices are made by Rodrigues' formula. With two
    coordinates the z angle turns in the plane.
    """

    Config = RotateConfig
    config: RotateConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        axes = self.layout.coordinates(x.shape[1])
        spin = SPIN[axes].to(x.device)
        limit = torch.tensor(self.config.max_degrees, device=x.device).expand(3)
        angle = torch.deg2rad(rng.uniform(3, low=-1, high=1) * limit)[:, -len(spin) :, None, None]
        turn = torch.eye(axes, device=x.device) + angle.sin() * spin + (1 - angle.cos()) * (spin @ spin)
        return _linear(x, functools.reduce(torch.matmul, turn.flip(1).unbind(1)))


class ShearConfig(RowConfig):
    """Options of ``Shear``."""

    name: Literal["shear"] = "shear"
    amount: NotNegative = 0.5
    """Largest factor (AimCLR, Guo et al., AAAI 2022: 0.5)."""


class Shear(Augmentation):
    """Add to each coordinate a uniform +-amount of each other one: unit diagonal, the rest random.

    AimCLR (Guo et al., AAAI 2022), feeder/tools.py.
    """

    Config = ShearConfig
    config: ShearConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        axes = self.layout.coordinates(x.shape[1])
        matrix = rng.uniform(axes, axes, low=-self.config.amount, high=self.config.amount)
        matrix.diagonal(dim1=1, dim2=2).fill_(1)
        return _linear(x, matrix)


class ScaleConfig(RowConfig):
    """Options of ``Scale``."""

    name: Literal["scale"] = "scale"
    low: Positive = 0.8
    """Smallest factor (PYSKL's RandomScale: 1 - 0.2)."""
    high: Positive = 1.2
    """Largest factor (PYSKL's RandomScale: 1 + 0.2)."""
    per_axis: bool = False
    """Draw a factor for each coordinate, as PYSKL does; changes the proportions of the body."""

    @model_validator(mode="after")
    def _ordered(self) -> ScaleConfig:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}; swap them")
        return self


class Scale(Augmentation):
    """Make the clip larger or smaller by a uniform factor.

    PYSKL (Duan et al., ACM MM 2022), RandomScale.
    Departs from print: one factor for all coordinates unless ``per_axis``, which keeps a body's proportions.
    """

    Config = ScaleConfig
    config: ScaleConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        axes = self.layout.coordinates(x.shape[1])
        factor = rng.uniform(axes if self.config.per_axis else 1, 1, 1, 1, low=self.config.low, high=self.config.high)
        if self.layout.score:
            factor = torch.cat([factor.expand(-1, axes, -1, -1, -1), torch.ones_like(factor[:, :1])], 1)
        return x * factor


class FlipConfig(RowConfig):
    """Options of ``Flip``."""

    name: Literal["flip"] = "flip"
    probability: Share = 0.5
    """Of a clip being mirrored (AimCLR: 0.5)."""


class Flip(Augmentation):
    """Mirror image: x changes its sign, left joints change places with right ones.

    Departs from print: AimCLR's spatial flip swaps the joints but not the sign of x, which twists the body.
    """

    Config = FlipConfig
    config: FlipConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        other = torch.tensor(self.layout.mirror, device=x.device).view(1, 1, 1, -1, 1).expand(x.shape)
        mirrored = x.gather(3, other)
        mirrored[:, 0].neg_()
        return torch.where(rng.uniform(1, 1, 1, 1) < self.config.probability, mirrored, x)


class JitterConfig(RowConfig):
    """Options of ``Jitter``."""

    name: Literal["jitter"] = "jitter"
    sigma: NotNegative = 0.01
    """Standard deviation, metres (AimCLR: 0.01)."""


class Jitter(Augmentation):
    """Add Gaussian noise, independent for every number, as a noisy sensor does.

    AimCLR (Guo et al., AAAI 2022), feeder/tools.py. Departs from print: always, not with probability 0.5.
    """

    Config = JitterConfig
    config: JitterConfig
    keeps_zero = False

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        noise = rng.normal(*x.shape[1:])
        noise[:, self.layout.coordinates(x.shape[1]) :] = 0
        return x + self.config.sigma * noise


class JointDropoutConfig(RowConfig):
    """Options of ``JointDropout``."""

    name: Literal["joint_dropout"] = "joint_dropout"
    probability: Share = 0.1
    """Of each joint being dropped; chosen here, the papers drop up to 0.6."""


class JointDropout(Augmentation):
    """Lay some joints at the origin, the clip's centre, for the whole clip: joints that a camera never saw.

    ISC (Thoker et al., ACM MM 2021), feeder/augmentations.py.
    Departs from print: each joint by itself with a probability, where ISC drops 15 of 25.
    """

    Config = JointDropoutConfig
    config: JointDropoutConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        kept = rng.uniform(1, 1, x.shape[3], 1) >= self.config.probability
        return torch.where(kept, x, 0.0)


class FrameDropoutConfig(RowConfig):
    """Options of ``FrameDropout``."""

    name: Literal["frame_dropout"] = "frame_dropout"
    probability: Share = 0.1
    """Of each frame being dropped; chosen here."""


class FrameDropout(Augmentation):
    """Lose some frames and bridge the gaps on straight lines; before the first and after the last kept one, hold.

    At least one frame of a clip stays. Paper silent: this is what a converter does with a camera's lost frames.
    """

    Config = FrameDropoutConfig
    config: FrameDropoutConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        frames = x.shape[2]
        luck = rng.uniform(frames)
        kept = (luck >= self.config.probability) | (luck == luck.amax(1, keepdim=True))
        frame = torch.arange(frames, device=x.device)
        before = torch.where(kept, frame, -1).cummax(1).values
        after = torch.where(kept, frame, frames).flip(1).cummin(1).values.flip(1)
        before, after = torch.where(before < 0, after, before), torch.where(after == frames, before, after)
        weight = (frame - before) / (after - before).clamp(min=1)
        clip = torch.arange(len(x), device=x.device)[:, None]
        by_frame = x.movedim(2, 1)
        filled = torch.lerp(by_frame[clip, before], by_frame[clip, after], weight[:, :, None, None, None])
        return filled.movedim(1, 2)


class ReverseConfig(RowConfig):
    """Options of ``Reverse``."""

    name: Literal["reverse"] = "reverse"
    probability: Share = 0.5
    """Of a clip running backwards (AimCLR: 0.5)."""


class Reverse(Augmentation):
    """Play the clip backwards. AimCLR (Guo et al., AAAI 2022), feeder/tools.py."""

    Config = ReverseConfig
    config: ReverseConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        return torch.where(rng.uniform(1, 1, 1, 1) < self.config.probability, x.flip(2), x)


AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "rotate": Rotate,
    "shear": Shear,
    "scale": Scale,
    "flip": Flip,
    "jitter": Jitter,
    "joint_dropout": JointDropout,
    "frame_dropout": FrameDropout,
    "reverse": Reverse,
}


class Augment:
    """Augmentations one after the other; absent persons stay zero.

    Args:
        configs: rows of ``AUGMENTATIONS``, in the order in which they are applied.
        layout: joints of the clips.
    """

    def __init__(self, configs: Sequence[RowConfig], layout: SkeletonLayout) -> None:
        self.steps = [AUGMENTATIONS[config.name](config, layout) for config in configs]

    def __call__(self, x: Tensor, present: Tensor, rng: Rng) -> Tensor:
        """Changed clips (N, C, T, V, M), from joints ``x`` of that shape and ``present`` (N, M) bool."""
        for step in self.steps:
            x = step(x, rng)
        if all(step.keeps_zero for step in self.steps):
            return x
        return x * present[:, None, None, None].to(x.dtype)


def _linear(x: Tensor, matrix: Tensor) -> Tensor:
    """Multiply every point of clips (N, C, T, V, M) by the clip's matrix, (N, C, C), or smaller for the first channels.

    Works person by person, (N, M, C, T * V), which is how the loader's clips lie in memory.
    """
    if matrix.shape[1] < x.shape[1]:
        return torch.cat([_linear(x[:, : matrix.shape[1]], matrix), x[:, matrix.shape[1] :]], 1)
    persons = x.movedim(4, 1)
    return (matrix[:, None] @ persons.flatten(3)).view(persons.shape).movedim(1, 4)
