"""Augmentations of a whole batch at once: pure functions of joints and random numbers.

A new one is a class in a file here, its options in ``config.py`` and one entry below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssl_skel.config import EntryConfig
from ssl_skel.data.augment.config import (
    BonesConfig,
    FlipConfig,
    FrameDropoutConfig,
    JitterConfig,
    JointDropoutConfig,
    OffsetConfig,
    ReverseConfig,
    RotateConfig,
    ScaleConfig,
    ShearConfig,
    TimeWarpConfig,
)
from ssl_skel.registry import Registry

if TYPE_CHECKING:
    from ssl_skel.data.augment.base import Augmentation

AUGMENTATIONS: Registry[Augmentation, EntryConfig] = Registry(
    "augmentation",
    {
        RotateConfig: "ssl_skel.data.augment.space:Rotate",
        ShearConfig: "ssl_skel.data.augment.space:Shear",
        ScaleConfig: "ssl_skel.data.augment.space:Scale",
        FlipConfig: "ssl_skel.data.augment.space:Flip",
        BonesConfig: "ssl_skel.data.augment.body:Bones",
        OffsetConfig: "ssl_skel.data.augment.body:Offset",
        JitterConfig: "ssl_skel.data.augment.sensor:Jitter",
        JointDropoutConfig: "ssl_skel.data.augment.sensor:JointDropout",
        FrameDropoutConfig: "ssl_skel.data.augment.sensor:FrameDropout",
        ReverseConfig: "ssl_skel.data.augment.time:Reverse",
        TimeWarpConfig: "ssl_skel.data.augment.time:TimeWarp",
    },
)
"""Augmentations by name."""
