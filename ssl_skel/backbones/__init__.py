"""Networks behind one contract; a new one is one file and one row here."""

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.csta_cnn import CSTACNN
from ssl_skel.backbones.ctr_gcn import CTRGCN
from ssl_skel.backbones.freqmixformer import FreqMixFormer
from ssl_skel.backbones.freqmixformer_v2 import FreqMixFormerV2
from ssl_skel.backbones.infogcn import InfoGCN
from ssl_skel.backbones.man import MAN
from ssl_skel.backbones.mpae_net import MPAENet
from ssl_skel.backbones.st_gcn import STGCN
from ssl_skel.backbones.st_transformer import STTransformer
from ssl_skel.backbones.sttformer import STTFormer
from ssl_skel.backbones.xshift import PoseXShiftNet

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


__all__ = ["BACKBONES", "Backbone"]
