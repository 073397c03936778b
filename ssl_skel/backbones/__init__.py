"""Networks behind one contract; a new one is one file and one row here."""

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.encoder import Readout, SkeletonEncoder, pool_persons
from ssl_skel.backbones.mpae_net import MPAENet
from ssl_skel.config import RowConfig
from ssl_skel.layout import SkeletonLayout

BACKBONES: dict[str, type[Backbone]] = {"mpae_net": MPAENet}


def build_encoder(
    config: RowConfig, layout: SkeletonLayout, *, channels: int, num_frames: int, stream: str
) -> SkeletonEncoder:
    """An encoder with fresh weights from a row's config."""
    backbone = BACKBONES[config.name](config, layout, channels, num_frames)
    return SkeletonEncoder(backbone, stream)


__all__ = ["BACKBONES", "Backbone", "Readout", "SkeletonEncoder", "build_encoder", "pool_persons"]
