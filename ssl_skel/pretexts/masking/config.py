"""Options of the masks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ssl_skel.config import EntryConfig

Ratio = Annotated[float, Field(ge=0.0, le=1.0)]

Length = Annotated[int, Field(ge=1)]


class MaskConfig(EntryConfig):
    """Options of all masks beyond the papers; the defaults use none of them."""

    tube: Length = 1
    """Consecutive units over which the same joints are hidden; 1 draws joints anew in each unit."""
    level: Literal["joint", "part", "body"] = "joint"
    """Joints are hidden one by one, or by groups of the layout (regions: Yan et al., ICCV 2023)."""


class LevelsConfig(MaskConfig):
    """Ratios of the two levels of SkeletonMAE (Wu et al., ICMEW 2023)."""

    frame_ratio: Ratio = 0.4
    """Share of frame units that the frame level picks. Paper silent: no ratio is known for sure."""
    joint_ratio: Ratio = 0.4
    """Share of joints that the joint level picks in a frame unit. Paper silent, as above."""
    block: Length = 1
    """Consecutive frame units that are picked together; ours, 1 is the plain mask."""


class UnionMaskConfig(LevelsConfig):
    """Whole frames, and some joints in every other frame."""

    name: Literal["union"] = "union"


class NestedMaskConfig(LevelsConfig):
    """Some joints, in some frames only."""

    name: Literal["nested"] = "nested"


class RandomMaskConfig(MaskConfig):
    """Units anywhere, at one ratio."""

    name: Literal["random"] = "random"
    ratio: Ratio = 0.9
    """Share of units hidden (MAE baseline of MAMP: 0.9)."""


class MotionMaskConfig(MaskConfig):
    """Units at one ratio, moving ones first."""

    name: Literal["motion"] = "motion"
    ratio: Ratio = 0.9
    """Share of units hidden (MAMP: 0.9)."""
    temperature: Annotated[float, Field(gt=0.0)] = 0.8
    """tau; the smaller, the more certainly moving units are hidden (MAMP: 0.8 on NTU-60, 0.75 on NTU-120)."""
