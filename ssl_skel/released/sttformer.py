"""STTFormer's weights."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.sttformer import STTFormerConfig
from ssl_skel.backbones.sttformer import STTFormer
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.released.release import Release, Rule, Rules, Shape, Tensors, absorbed


class STTFormerRelease(Release):
    """STTFormer (Qiu et al., arXiv 2201.02849), model/{sttformer,sta_block}.py.

    Its code has biases before norms, which ours leaves out: they go into the norms' means. Its maps run from queries
    to keys, so that queries and keys change places.
    """

    name: ClassVar = "sttformer"
    repository: ClassVar = "https://github.com/heleiqiu/STTFormer"
    probe: ClassVar = "blocks.0.att0s"
    frames: ClassVar = 120
    left_out: ClassVar = r"fc\.|blocks\.\d+\.pes\.pe$"
    normalization: ClassVar = NormalizeConfig()

    def shape(self, tensors: Tensors, joints: int) -> Shape:
        tokens = tensors[self.probe].shape[2]
        if tokens % joints:
            raise ValueError(f"its tuples have {tokens} tokens, no multiple of the layout's {joints} joints")
        return Shape(STTFormerConfig(tuple_frames=tokens // joints), tensors["input_map.0.weight"].shape[1], joints)

    def rules(self, net: Backbone) -> Rules:
        assert isinstance(net, STTFormer)
        rules = absorbed("input_map.0", "input_map.1", "enter.0.0", "enter.0.1")
        for at, block in enumerate(net.blocks):
            theirs, ours = f"blocks.{at}", f"blocks.{at}.attention"
            layers = {"out_nets": "attention.out", "ff_net": "mix", "out_nett": "between"}
            if isinstance(block.skip, nn.Sequential):
                layers |= {"ress": "skip", "rest": "skip_between"}
            for name, mine in layers.items():
                rules |= absorbed(
                    *(f"{theirs}.{name}.0", f"{theirs}.{name}.1"), *(f"blocks.{at}.{mine}.0", f"blocks.{at}.{mine}.1")
                )
            for part in ("weight", "bias"):
                rules[f"{ours}.qk.{part}"] = Rule((f"{theirs}.to_qkvs.{part}",), _keys_first)
            rules[f"{ours}.alpha"] = Rule((f"{theirs}.alphas",), lambda tensor: tensor[0, :, :, 0])
            rules[f"{ours}.bias"] = Rule((f"{theirs}.att0s",), lambda tensor: tensor[0].permute(2, 0, 1))
        return rules


def _keys_first(tensor: Tensor) -> Tensor:
    return torch.cat(tensor.chunk(2)[::-1])
