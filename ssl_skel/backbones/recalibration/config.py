"""Options of the recalibrations."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from ssl_skel.config import EntryConfig


class RecalibrationConfig(EntryConfig):
    """What the options of every recalibration share."""

    @model_validator(mode="before")
    @classmethod
    def _in_front(cls, data: Any) -> Any:
        """Accept ``at: [0]``, which files of 0.1 hold: in front is the only place left."""
        if not isinstance(data, dict) or "at" not in data:
            return data
        if data["at"] not in ([0], (0,)):
            raise ValueError(
                f"at: {data['at']}: recalibration between the stages of a network was removed, and only the input is "
                "recalibrated; leave at out"
            )
        return {key: value for key, value in data.items() if key != "at"}


class TARMConfig(RecalibrationConfig):
    """Options of ``TARM``."""

    name: Literal["tarm"] = "tarm"
    hidden: int = Field(64, ge=1)
    """H, units of the memory (MANs_9.py: 64)."""
    reduction: int = Field(16, ge=1)
    """Squeeze ratio over the frames (MANs_9.py: 16)."""


class CSTAConfig(RecalibrationConfig):
    """Options of ``CSTA``."""

    name: Literal["csta"] = "csta"
    hidden: int = Field(16, ge=1)
    """Channels that each sub-network lifts its input to. Paper silent."""
    reduction: int = Field(4, ge=1)
    """Squeeze ratio over joints and over frames. Paper silent."""


class MTEConfig(RecalibrationConfig):
    """Options of ``MTEBranch``."""

    name: Literal["mte"] = "mte"
    dim: int = Field(64, ge=4)
    """Channels inside (MPAE-Net: 64 in its first layers)."""
    reduction: int = Field(8, ge=1)
    """Squeeze ratio alpha (MPAE-Net, Table 1: 8)."""
    norm: Literal["batch", "layer"] = "layer"
    """``batch``: BatchNorm, as the paper names it. ``layer``: no clip sees another, and the zeros of hidden joints in
    front of a network do not affect statistics."""
