"""Self-supervised tasks behind one contract. ``table.py`` lists the single ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssl_skel.config import EntryConfig
from ssl_skel.pretexts.configs.combined import CombinedConfig
from ssl_skel.pretexts.table import SINGLE
from ssl_skel.registry import Registry

if TYPE_CHECKING:
    from ssl_skel.encoders.encoder import SkeletonEncoder
    from ssl_skel.pretexts.base import Pretext

PRETEXTS: Registry[Pretext, EntryConfig] = Registry(
    "pretext", {**SINGLE.entries, CombinedConfig: "ssl_skel.pretexts.combined:Combined"}
)
"""Pretexts by name."""


def build_pretext(config: EntryConfig, encoder: SkeletonEncoder) -> Pretext:
    """A task, with fresh weights of its own, that trains this encoder."""
    return PRETEXTS[config.name](config, encoder, encoder.layout)
