"""What the options of every network share."""

from __future__ import annotations

from typing import Annotated

from ssl_skel.backbones.recalibration import RECALIBRATIONS
from ssl_skel.backbones.recalibration.config import RecalibrationConfig
from ssl_skel.config import RowConfig, RowOf


class BackboneConfig(RowConfig):
    """What the options of every network share."""

    recalibrate: Annotated[RecalibrationConfig, RowOf(RECALIBRATIONS)] | None = None
    """An entry of ``RECALIBRATIONS`` in front of the network; None: none."""
