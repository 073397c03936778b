"""Modules that weight frames, joints or channels of a grid, and keep its shape.

Any network takes one in front (``backbone.recalibrate``); see ``Backbone``. Three published networks contain them: MAN
has TARM, CSTA-CNN has CSTA, MPAE-Net has MTE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssl_skel.backbones.recalibration.config import CSTAConfig, MTEConfig, RecalibrationConfig, TARMConfig
from ssl_skel.registry import Registry

if TYPE_CHECKING:
    from torch import nn

RECALIBRATIONS: Registry[nn.Module, RecalibrationConfig] = Registry(
    "recalibration",
    {
        TARMConfig: "ssl_skel.backbones.recalibration.tarm:TARM",
        CSTAConfig: "ssl_skel.backbones.recalibration.csta:CSTA",
        MTEConfig: "ssl_skel.backbones.recalibration.mte:MTEBranch",
    },
)
"""Recalibrations by name."""
