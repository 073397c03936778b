"""Networks behind one contract; a new one is a file here, its options in ``configs`` and one entry below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.backbones.configs.csta_cnn import CSTACNNConfig
from ssl_skel.backbones.configs.dsta_net import DSTANetConfig
from ssl_skel.backbones.configs.gin import GINConfig
from ssl_skel.backbones.configs.graph import CTRGCNConfig, InfoGCNConfig, STGCNConfig
from ssl_skel.backbones.configs.man import MANConfig
from ssl_skel.backbones.configs.mixformer import FreqMixFormerConfig, FreqMixFormerV2Config
from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.backbones.configs.slim_vit import SLiMViTConfig
from ssl_skel.backbones.configs.st_transformer import STTransformerConfig
from ssl_skel.backbones.configs.sttformer import STTFormerConfig
from ssl_skel.backbones.configs.tcn import TCNConfig
from ssl_skel.backbones.configs.xshift import XShiftConfig
from ssl_skel.registry import Registry

if TYPE_CHECKING:
    from ssl_skel.backbones.base import Backbone

BACKBONES: Registry[Backbone, BackboneConfig] = Registry(
    "backbone",
    {
        MPAENetConfig: "ssl_skel.backbones.mpae_net:MPAENet",
        STTransformerConfig: "ssl_skel.backbones.st_transformer:STTransformer",
        XShiftConfig: "ssl_skel.backbones.xshift:PoseXShiftNet",
        STGCNConfig: "ssl_skel.backbones.st_gcn:STGCN",
        CTRGCNConfig: "ssl_skel.backbones.ctr_gcn:CTRGCN",
        InfoGCNConfig: "ssl_skel.backbones.infogcn:InfoGCN",
        MANConfig: "ssl_skel.backbones.man:MAN",
        CSTACNNConfig: "ssl_skel.backbones.csta_cnn:CSTACNN",
        STTFormerConfig: "ssl_skel.backbones.sttformer:STTFormer",
        FreqMixFormerConfig: "ssl_skel.backbones.freqmixformer:FreqMixFormer",
        FreqMixFormerV2Config: "ssl_skel.backbones.freqmixformer_v2:FreqMixFormerV2",
        DSTANetConfig: "ssl_skel.backbones.dsta_net:DSTANet",
        SLiMViTConfig: "ssl_skel.backbones.slim_vit:SLiMViT",
        GINConfig: "ssl_skel.backbones.gin:GIN",
        TCNConfig: "ssl_skel.backbones.tcn:TCN",
    },
)
"""Networks by name."""
