"""Options of PSP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ssl_skel.config import EntryConfig
from ssl_skel.pretexts.configs import Positive
from ssl_skel.pretexts.configs.neighbours import NeighboursConfig
from ssl_skel.pretexts.configs.sources import Source

Level = Literal["clip", "time", "body", "part", "joint"]


class PSPConfig(EntryConfig):
    """Options of ``PSP``."""

    former: ClassVar[Mapping[str, str]] = {"hand_down": "pyramid_weights"}

    name: Literal["psp"] = "psp"
    views: tuple[Source, ...] = Field(("own", "own_motion"), min_length=2)
    """What the encoder sees, each from a draw of its own. ``own`` is the encoder's stream, ``own_motion`` its change
    from frame to frame; with the joint stream these are PSP's, but see ``PSP``. A third may be added (bone), one may
    occur twice."""
    levels: tuple[Level, ...] = Field(("body", "part", "joint"), min_length=1)
    """Where views are compared. Two are ours, have no attention and suit networks that merge joints: ``clip``, the mean
    of the features (pooling ``mean``); ``time``, the mean of each of ``time_bins`` stretches (pooling ``mean:4``),
    compared with the same stretch of the other view."""
    time_bins: Positive = 4
    """Stretches of the level ``time``, equally long; its loss is their mean."""
    heads: Positive = 4
    """Heads of PPA; must divide the backbone's width (PSP: 4)."""
    pyramid_weights: tuple[float, float, float] = (0.2, 0.12, 0.24)
    """Weights of coarser maps: body into part, part into joint, body into joint (PSP: 2/10, 3/25, 6/25)."""
    norm: Literal["batch", "layer"] = "batch"
    """Norm in PPA (PSP: batch)."""
    projection: Positive = 256
    """Width of the shared MLP, within and out (PSP: 256)."""
    projection_norm: Literal["none", "batch"] = "none"
    """Norm within the shared MLP (PSP: none; SimCLR: batch). Fresh features of MPAE-Net agree to the fourth digit;
    batch separates their points from the first step, which otherwise takes epochs. Statistics are those of all ranks on
    GPUs; on several CPU processes each uses its own clips."""
    temperature: Annotated[float, Field(gt=0.0)] = 0.07
    """Temperature of InfoNCE (PSP: 0.07)."""
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    """Keys come from an average of the networks that moves by 1 - momentum per step (MoCo: 0.999); null: from
    the networks themselves, as in PSP."""
    queue: Annotated[int, Field(ge=0)] = 0
    """Keys of earlier clips kept as negatives, so that small batches work (MoCo); needs ``momentum``. Each clip adds
    one per view; if the queue holds more than an epoch adds, a clip meets its own key as a negative."""

    neighbours: NeighboursConfig | None = None
    """Near clips seen earlier serve as positives too, see ``Neighbours``; null: a clip's views are each
    other's only ones, as in PSP. With ``momentum`` they are keys of that network."""

    @property
    def points(self) -> dict[str, list[int]]:
        """Which rows of ``Contrast`` belong to each level: ``time`` has one per stretch, every other level has one."""
        found: dict[str, list[int]] = {}
        for level in self.levels:
            start = sum(map(len, found.values()))
            found[level] = list(range(start, start + (self.time_bins if level == "time" else 1)))
        return found

    @model_validator(mode="after")
    def _check(self) -> PSPConfig:
        if len(set(self.levels)) != len(self.levels):
            raise ValueError(f"levels {list(self.levels)}: name each once")
        if self.queue and self.momentum is None:
            raise ValueError("queue: needs momentum, since keys of moving weights grow stale; give momentum 0.99")
        return self
