"""Options of the augmentations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ssl_skel.config import EntryConfig

Share = Annotated[float, Field(ge=0, le=1)]

Degrees = Annotated[float, Field(ge=0, le=180)]

NotNegative = Annotated[float, Field(ge=0)]

Positive = Annotated[float, Field(gt=0)]


class RotateConfig(EntryConfig):
    """Options of ``Rotate``."""

    name: Literal["rotate"] = "rotate"
    max_degrees: Degrees | tuple[Degrees, Degrees, Degrees] = 17.2
    """Largest angle in degrees, for all axes or one each for x, y, z; [0, 180, 0] turns about the upright axis only.
    Default 0.3 rad (CTR-GCN, feeders/tools.py)."""


class ShearConfig(EntryConfig):
    """Options of ``Shear``."""

    name: Literal["shear"] = "shear"
    amount: NotNegative = 0.5
    """Largest factor (AimCLR, Guo et al., AAAI 2022: 0.5)."""


class ScaleConfig(EntryConfig):
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


class FlipConfig(EntryConfig):
    """Options of ``Flip``."""

    name: Literal["flip"] = "flip"
    probability: Share = 0.5
    """Probability that a clip is mirrored (AimCLR: 0.5)."""


class BonesConfig(EntryConfig):
    """Options of ``Bones``."""

    name: Literal["bones"] = "bones"
    amount: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Largest change of a bone, as a share of its length; chosen here. It lowers ``shortcut``, which pretraining logs,
    from 97 % or more to 7 to 13 % on UTD-MHAD, SBU and NW-UCLA."""


class OffsetConfig(EntryConfig):
    """Options of ``Offset``."""

    name: Literal["offset"] = "offset"
    sigma: NotNegative = 0.06
    """Standard deviation of each coordinate, metres; in a store that was scaled, its unit. Chosen here. It lowers
    ``shortcut`` to what chance gives, 2 %."""


class JitterConfig(EntryConfig):
    """Options of ``Jitter``."""

    name: Literal["jitter"] = "jitter"
    sigma: NotNegative = 0.01
    """Standard deviation, metres (AimCLR: 0.01)."""


class JointDropoutConfig(EntryConfig):
    """Options of ``JointDropout``."""

    name: Literal["joint_dropout"] = "joint_dropout"
    probability: Share = 0.1
    """Probability that a joint is dropped; chosen here, the papers drop up to 0.6."""


class FrameDropoutConfig(EntryConfig):
    """Options of ``FrameDropout``."""

    name: Literal["frame_dropout"] = "frame_dropout"
    probability: Share = 0.1
    """Probability that a frame is dropped; chosen here."""


class TimeWarpConfig(EntryConfig):
    """Options of ``TimeWarp``."""

    name: Literal["time_warp"] = "time_warp"
    strength: Annotated[float, Field(ge=0, le=2)] = 0.3
    """Standard deviation of the logarithm of the speed at a knot (chosen here): 0.3 keeps two thirds of the speeds
    within 0.74 to 1.35 times the recorded one."""
    knots: Annotated[int, Field(ge=2)] = 4
    """Evenly spaced times of a clip at which speeds are drawn (chosen here)."""


class ReverseConfig(EntryConfig):
    """Options of ``Reverse``."""

    name: Literal["reverse"] = "reverse"
    probability: Share = 0.5
    """Probability that a clip runs backwards (AimCLR: 0.5)."""
