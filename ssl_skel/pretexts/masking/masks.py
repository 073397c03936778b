"""The masks: which units of each person a batch hides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic

import torch
from torch import Tensor
from typing_extensions import TypeVar

from ssl_skel.batch import Rng
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.pretexts.masking.config import (
    LevelsConfig,
    MaskConfig,
    MotionMaskConfig,
    NestedMaskConfig,
    RandomMaskConfig,
    UnionMaskConfig,
)
from ssl_skel.pretexts.masking.draw import frame_mask, joint_mask, motion_per_unit, token_mask

ConfigT = TypeVar("ConfigT", bound=MaskConfig, covariant=True, default=MaskConfig)
LevelsT = TypeVar("LevelsT", bound=LevelsConfig, covariant=True, default=LevelsConfig)


class Masking(ABC, Generic[ConfigT]):
    """An entry of ``MASKS``: draws masks for batches of one layout.

    Attributes:
        Config: frozen options; its ``name`` is the entry in ``MASKS``.
    """

    Config: ClassVar[type[MaskConfig]]

    def __init__(self, config: ConfigT, layout: SkeletonLayout) -> None:
        self.config, self.layout, self.joints = config, layout, layout.num_joints
        self.groups = torch.as_tensor(layout.membership(config.level).argmax(0))

    @abstractmethod
    def hidden(self, units: int) -> int:
        """How many of U * V units each person has hidden."""

    @abstractmethod
    def __call__(self, rng: Rng, x: Tensor, unit: int) -> Tensor:
        """Masks for joints (N, C, T, V, M) in units of ``unit`` frames: (N, M, T / unit, V) bool."""

    def check(self, units: int) -> None:
        """Refuse ratios that hide nothing or everything.

        Raises:
            UserError: naming the fields to change.
        """
        total, count = units * self.joints, self.hidden(units)
        if not 0 < count < total:
            ratios = " and ".join(f"{key} {value}" for key, value in self.config if key.endswith("ratio"))
            raise UserError(
                f"pretext.mask: {self.config.name} with {ratios} hides {count} of {total} units; "
                "change the ratios so that at least one unit is hidden and one visible"
            )


class LevelsMask(Masking[LevelsT]):
    """Frame-level and joint-level masks of SkeletonMAE (Wu et al., ICMEW 2023), before they meet."""

    def counts(self, units: int) -> tuple[int, int]:
        """Frame units picked, and joints picked in each; rounded."""
        return round(self.config.frame_ratio * units), round(self.config.joint_ratio * self.joints)

    def levels(self, rng: Rng, x: Tensor, unit: int) -> tuple[Tensor, Tensor]:
        """The two masks, (N, M, U, V) each."""
        persons, units = x.shape[4], x.shape[2] // unit
        frames, joints = self.counts(units)
        return (
            frame_mask(rng, persons, units, self.joints, count=frames, block=self.config.block),
            joint_mask(rng, persons, units, self.groups.to(x.device), count=joints, tube=self.config.tube),
        )


class UnionMask(LevelsMask[UnionMaskConfig]):
    """Hidden if the frame level or the joint level picks it.

    SkeletonMAE (Wu et al., ICMEW 2023). Paper silent: how its two levels meet; this is the reading
    with R_t U V + (1 - R_t) U R_j V hidden units.
    """

    Config: ClassVar = UnionMaskConfig

    def hidden(self, units: int) -> int:
        frames, joints = self.counts(units)
        return frames * self.joints + (units - frames) * joints

    def __call__(self, rng: Rng, x: Tensor, unit: int) -> Tensor:
        frames, joints = self.levels(rng, x, unit)
        return frames | joints


class NestedMask(LevelsMask[NestedMaskConfig]):
    """Hidden if the frame level and the joint level both pick it.

    SkeletonMAE (Wu et al., ICMEW 2023). Paper silent: how its two levels meet; this is the reading
    with R_t U R_j V hidden units.
    """

    Config: ClassVar = NestedMaskConfig

    def hidden(self, units: int) -> int:
        frames, joints = self.counts(units)
        return frames * joints

    def __call__(self, rng: Rng, x: Tensor, unit: int) -> Tensor:
        frames, joints = self.levels(rng, x, unit)
        return frames & joints


class RandomMask(Masking[RandomMaskConfig]):
    """Uniform random masking: the MAE baseline of MAMP (Mao et al., ICCV 2023)."""

    Config: ClassVar = RandomMaskConfig

    def hidden(self, units: int) -> int:
        return round(self.config.ratio * units * self.joints)

    def __call__(self, rng: Rng, x: Tensor, unit: int) -> Tensor:
        units, groups = x.shape[2] // unit, self.groups.to(x.device)
        return token_mask(rng, x.shape[4], units, groups, count=self.hidden(units), tube=self.config.tube)


class MotionMask(Masking[MotionMaskConfig]):
    """Motion-aware masking (MAMP, Mao et al., ICCV 2023)."""

    Config: ClassVar = MotionMaskConfig

    def hidden(self, units: int) -> int:
        return round(self.config.ratio * units * self.joints)

    def __call__(self, rng: Rng, x: Tensor, unit: int) -> Tensor:
        persons, units, groups = x.shape[4], x.shape[2] // unit, self.groups.to(x.device)
        coordinates = x[:, : self.layout.coordinates(x.shape[1])]  # a change of the score is not motion
        tube, motion, temperature = self.config.tube, motion_per_unit(coordinates, unit), self.config.temperature
        count = self.hidden(units)
        return token_mask(rng, persons, units, groups, count=count, tube=tube, motion=motion, temperature=temperature)
