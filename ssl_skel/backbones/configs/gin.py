"""Options of the graph isomorphism network."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ssl_skel.backbones.configs.base import BackboneConfig


class ArchSpec(NamedTuple):
    """A size: channels throughout, and layers."""

    width: int
    depth: int


# Saved encoders name their size: never change an entry, add another.
SIZES: dict[str, ArchSpec] = {"tiny": ArchSpec(16, 2), "small": ArchSpec(32, 3), "base": ArchSpec(64, 3)}


class GINConfig(BackboneConfig):
    """Options of ``GIN``."""

    name: Literal["gin"] = "gin"
    size: Literal["tiny", "small", "base"] = "base"
    """``base``: three layers of 64 channels (SkeletonMAE of Yan et al.). ``small``: of 32. ``tiny``: two of 16, for
    tests and demos."""
