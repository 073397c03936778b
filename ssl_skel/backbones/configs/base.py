"""What the options of every network share."""

from __future__ import annotations

from typing import Annotated

from ssl_skel.backbones.recalibration import RECALIBRATIONS
from ssl_skel.backbones.recalibration.config import RecalibrationConfig
from ssl_skel.config import EntryConfig, EntryOf


class BackboneConfig(EntryConfig):
    """What the options of every network share."""

    recalibrate: Annotated[RecalibrationConfig, EntryOf(RECALIBRATIONS)] | None = None
    """An entry of ``RECALIBRATIONS`` in front of the network; None: none."""
