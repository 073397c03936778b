"""SLiM's encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.slim_vit import SLiMViTConfig
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.released.release import Release, Rule, Rules, Shape, Tensors, patches_of_a_joint, renamed

HEADS = 8
"""Attention heads of the released encoder; a file does not say."""


class SLiMRelease(Release):
    """SLiM (Do et al., arXiv 2603.10648), models/vision_transformer.py: its safetensors, or a teacher's checkpoint."""

    name: ClassVar = "slim"
    repository: ClassVar = "https://github.com/KAIST-VICLab/SLiM"
    probe: ClassVar = "register_tokens"
    prefixes: ClassVar[Mapping[str, tuple[str, ...]]] = {"": ("backbone.", "")}
    frames: ClassVar = 64
    left_out: ClassVar = r"head\."
    normalization: ClassVar = NormalizeConfig()

    def shape(self, tensors: Tensors, joints: int) -> Shape:
        width, channels, patch, _ = tensors["patch_embed.proj.weight"].shape
        depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
        registers = tensors[self.probe].shape[1]
        config = SLiMViTConfig(width=width, depth=depth, heads=HEADS, patch=patch, registers=registers)
        return Shape(config, channels, tensors["pos_embed"].shape[1] - 1)

    def rules(self, net: Backbone) -> Rules:
        def ahead(token: Tensor, positions: Tensor, registers: Tensor) -> Tensor:
            return torch.cat([token[0] + positions[0, :1], registers[0]])

        rules = renamed("patch_embed.proj", "enter.lift") | renamed("norm", "norm")
        rules["enter.lift.weight"] = Rule(("patch_embed.proj.weight",), patches_of_a_joint)
        rules["enter.joint"] = Rule(("pos_embed",), lambda tensor: tensor[0, 1:])
        rules["enter.prefix"] = Rule(("cls_token", "pos_embed", self.probe), ahead)
        rules["enter.hidden_token"] = Rule(("mask_token",), lambda tensor: tensor[0])
        layers = {"norm1": "norm1", "attn.qkv": "attn.qkv", "attn.proj": "attn.proj", "norm2": "norm2"}
        layers |= {"mlp.w12": "mlp.fc1", "mlp.w3": "mlp.fc2"}
        for at in range(sum(name.endswith("attn.qkv.weight") for name in net.state_dict())):
            for theirs, ours in layers.items():
                rules |= renamed(f"blocks.{at}.{theirs}", f"blocks.{at}.{ours}")
        return rules
