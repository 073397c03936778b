"""Which units of a person's motion a masked pretext hides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssl_skel.pretexts.masking.config import (
    MaskConfig,
    MotionMaskConfig,
    NestedMaskConfig,
    RandomMaskConfig,
    UnionMaskConfig,
)
from ssl_skel.registry import Registry

if TYPE_CHECKING:
    from ssl_skel.pretexts.masking.masks import Masking

MASKS: Registry[Masking, MaskConfig] = Registry(
    "mask",
    {
        UnionMaskConfig: "ssl_skel.pretexts.masking.masks:UnionMask",
        NestedMaskConfig: "ssl_skel.pretexts.masking.masks:NestedMask",
        RandomMaskConfig: "ssl_skel.pretexts.masking.masks:RandomMask",
        MotionMaskConfig: "ssl_skel.pretexts.masking.masks:MotionMask",
    },
)
"""Masks by name."""
