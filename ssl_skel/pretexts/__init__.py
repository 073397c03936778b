"""Self-supervised tasks behind one contract; a new one is one file and one row here."""

from ssl_skel.backbones import SkeletonEncoder
from ssl_skel.config import RowConfig
from ssl_skel.pretexts.base import Pretext
from ssl_skel.pretexts.skeleton_mae import SkeletonMAE

PRETEXTS: dict[str, type[Pretext]] = {"skeleton_mae": SkeletonMAE}


def build_pretext(config: RowConfig, encoder: SkeletonEncoder) -> Pretext:
    """A task with fresh weights beside the encoder it trains."""
    return PRETEXTS[config.name](config, encoder, encoder.layout)


__all__ = ["PRETEXTS", "Pretext", "SkeletonMAE", "build_pretext"]
