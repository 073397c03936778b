"""Self-supervised tasks behind one contract. ``table.py`` lists those that stand alone."""

from ssl_skel.config import RowConfig
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.pretexts.base import Pretext, View
from ssl_skel.pretexts.combined import Combined
from ssl_skel.pretexts.psp import PSP
from ssl_skel.pretexts.skeleton_mae import SkeletonMAE
from ssl_skel.pretexts.table import SINGLE
from ssl_skel.pretexts.temporal_order import TemporalOrder

PRETEXTS: dict[str, type[Pretext]] = {**SINGLE, "combined": Combined}


def build_pretext(config: RowConfig, encoder: SkeletonEncoder) -> Pretext:
    """A task with fresh weights beside the encoder it trains."""
    return PRETEXTS[config.name](config, encoder, encoder.layout)


__all__ = ["PRETEXTS", "PSP", "Combined", "Pretext", "SkeletonMAE", "TemporalOrder", "View", "build_pretext"]
