"""MAMP's encoder, and STARS's, which is the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.st_transformer import STTransformerConfig
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.released.release import Release, Rule, Rules, Shape, Tensors, patches_of_a_joint, renamed, same

HEADS = 8
"""Attention heads of every shipped config; a file does not say."""


class MAMP(Release):
    """MAMP (Mao et al., ICCV 2023), model_mamp/transformer.py: the encoder; its decoder is left out."""

    name: ClassVar = "mamp"
    repository: ClassVar = "https://github.com/maoyunyao/MAMP"
    probe: ClassVar = "joints_embed.proj.weight"
    frames: ClassVar = 120
    left_out: ClassVar = r"decoder_|mask_token$|head\."
    normalization: ClassVar = NormalizeConfig()

    def shape(self, tensors: Tensors, joints: int) -> Shape:
        width, channels, patch, _ = tensors[self.probe].shape
        depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
        config = STTransformerConfig(width=width, depth=depth, heads=HEADS, patch=patch)
        return Shape(config, channels, tensors["pos_embed"].shape[2], patch * tensors["temp_embed"].shape[1])

    def rules(self, net: Backbone) -> Rules:
        rules = renamed("joints_embed.proj", "embed.lift") | renamed("norm", "norm")
        rules["embed.lift.weight"] = Rule((self.probe,), patches_of_a_joint)
        rules["embed.time"] = Rule(("temp_embed",), lambda tensor: tensor[0, :, 0])
        rules["embed.joint"] = Rule(("pos_embed",), lambda tensor: tensor[0, 0])
        return rules | {name: same(name) for name in net.state_dict() if name.startswith("blocks.")}


class STARS(MAMP):
    """STARS (Mehraban et al., 2024): MAMP's encoder after a stage of nearest-neighbour contrast; the student's."""

    name: ClassVar = "stars"
    repository: ClassVar = "https://github.com/TaatiTeam/STARS"
    prefixes: ClassVar[Mapping[str, tuple[str, ...]]] = {"": ("encoder_student.", "encoder_q.", "")}
    left_out: ClassVar = r"masked_embed$|head\."
