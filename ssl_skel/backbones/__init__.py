"""Networks behind one contract; a new one is one file and one row here."""

from typing import Any

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.csta_cnn import CSTACNN
from ssl_skel.backbones.ctr_gcn import CTRGCN
from ssl_skel.backbones.encoder import Readout, SkeletonEncoder, pool_persons
from ssl_skel.backbones.freqmixformer import FreqMixFormer
from ssl_skel.backbones.freqmixformer_v2 import FreqMixFormerV2
from ssl_skel.backbones.infogcn import InfoGCN
from ssl_skel.backbones.man import MAN
from ssl_skel.backbones.mpae_net import MPAENet
from ssl_skel.backbones.st_gcn import STGCN
from ssl_skel.backbones.st_transformer import STTransformer
from ssl_skel.backbones.sttformer import STTFormer
from ssl_skel.backbones.xshift import PoseXShiftNet
from ssl_skel.config import RowConfig
from ssl_skel.layout import SkeletonLayout

BACKBONES: dict[str, type[Backbone]] = {
    "mpae_net": MPAENet,
    "st_transformer": STTransformer,
    "xshift": PoseXShiftNet,
    "st_gcn": STGCN,
    "ctr_gcn": CTRGCN,
    "infogcn": InfoGCN,
    "man": MAN,
    "csta_cnn": CSTACNN,
    "sttformer": STTFormer,
    "freqmixformer": FreqMixFormer,
    "freqmixformer_v2": FreqMixFormerV2,
}


def build_encoder(
    config: RowConfig, layout: SkeletonLayout, *, channels: int, num_frames: int, stream: str
) -> SkeletonEncoder:
    """An encoder with fresh weights from a row's config."""
    backbone = BACKBONES[config.name](config, layout, channels, num_frames)
    return SkeletonEncoder(backbone, stream)


def fresh_like(encoder: SkeletonEncoder, **options: Any) -> SkeletonEncoder:
    """The same encoder with fresh weights, on the CPU, read out by ``mean``; ``options`` change its network."""
    net = encoder.backbone
    config = net.config.model_copy(update=options)
    return build_encoder(config, net.layout, channels=net.channels, num_frames=net.num_frames, stream=encoder.stream)


__all__ = ["BACKBONES", "Backbone", "Readout", "SkeletonEncoder", "build_encoder", "fresh_like", "pool_persons"]
