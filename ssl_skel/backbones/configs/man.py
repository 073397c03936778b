"""Options of MAN."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ssl_skel.backbones.configs.base import BackboneConfig


class ArchSpec(NamedTuple):
    """A size: units of the memory, and channels of each residual block."""

    hidden: int
    channels: tuple[int, ...]


# Saved encoders name their size: never change an entry, add another.
SIZES: dict[str, ArchSpec] = {
    "tiny": ArchSpec(16, (8, 16)),
    "small": ArchSpec(64, (64, 64, 128, 128)),
    "base": ArchSpec(64, (64, 64, 128, 128)),
}


class MANConfig(BackboneConfig):
    """Options of ``MAN``."""

    name: Literal["man"] = "man"
    size: Literal["tiny", "small", "base"] = "base"
    """``base``: MANs-9, what the released script trains. ``small``: the same, as a laptop's CPU trains it well.
    ``tiny``: two blocks, for tests and demos."""
