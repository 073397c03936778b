"""ST-GCN of CrosSCLR and AimCLR, CTR-GCN, InfoGCN: layer by layer, over a graph."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.graph import CTRGCNConfig, InfoGCNConfig, STGCNConfig
from ssl_skel.backbones.st_gcn import GraphNet
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.released.release import Release, Rule, Rules, Shape, Tensors, conv_norm, flat, renamed, same


class GraphRelease(Release):
    """What the three share: a norm first, then layers.

    Attributes:
        layer_name: beginning of a layer's names, with a place for its number.
        first: number of the first layer.
    """

    layer_name: ClassVar[str] = "l{}"
    first: ClassVar[int] = 1

    def rules(self, net: Backbone) -> Rules:
        assert isinstance(net, GraphNet)
        size = net.stem.norm.num_features
        rules = renamed("data_bn", "stem.norm", norm=True)
        for part in ("weight", "bias", "running_mean", "running_var"):
            rules[f"stem.norm.{part}"] = Rule((f"data_bn.{part}",), lambda tensor: tensor[:size])
        for at, layer in enumerate(net.layers):
            theirs, ours = self.layer_name.format(at + self.first), f"layers.{at}"
            assert isinstance(layer.space, nn.Module)
            rules |= self.layer(theirs, ours, layer.space)
            if isinstance(layer.around, nn.Sequential):
                rules |= self.around(theirs, ours)
        return rules

    @abstractmethod
    def layer(self, theirs: str, ours: str, space: nn.Module) -> Rules:
        """Rules of one layer, without its residual."""

    def around(self, theirs: str, ours: str) -> Rules:
        """Rules of the convolution and norm around a layer."""
        conv, norm = f"{theirs}.residual.conv", f"{theirs}.residual.bn"
        return renamed(conv, f"{ours}.around.0") | renamed(norm, f"{ours}.around.1", norm=True)


class STGCNRelease(GraphRelease):
    """ST-GCN as CrosSCLR and AimCLR pretrain it, net/st_gcn.py (AimCLR, Guo et al., AAAI 2022); the query's encoder."""

    name: ClassVar = "st_gcn"
    repository: ClassVar = "https://github.com/LinguoLi/CrosSCLR"
    probe: ClassVar = "edge_importance.0"
    prefixes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "joint": ("encoder_q.", ""),
        "joint_motion": ("encoder_q_motion.", "encoder_q.", ""),
        "bone": ("encoder_q_bone.", "encoder_q.", ""),
    }
    frames: ClassVar = 52
    left_out: ClassVar = r"fc\.|A$"
    layer_name: ClassVar = "st_gcn_networks.{}"
    first: ClassVar = 0

    def shape(self, tensors: Tensors, joints: int) -> Shape:
        count = len({name.split(".")[1] for name in tensors if name.startswith("edge_importance.")})
        widths = [len(tensors[f"st_gcn_networks.{at}.tcn.0.weight"]) for at in range(count)]
        kernel = tensors["st_gcn_networks.0.tcn.2.weight"].shape[2]
        config = STGCNConfig(channels=tuple(widths), kernel=kernel, partition="released")
        return Shape(config, tensors["st_gcn_networks.0.gcn.conv.weight"].shape[1], tensors[self.probe].shape[1])

    def layer(self, theirs: str, ours: str, space: nn.Module) -> Rules:
        rules = renamed(f"{theirs}.tcn.0", f"{ours}.time.0", norm=True)
        rules |= renamed(f"{theirs}.tcn.2", f"{ours}.time.2") | renamed(f"{theirs}.tcn.3", f"{ours}.time.3", norm=True)
        rules[f"{ours}.space.project.weight"] = flat(f"{theirs}.gcn.conv.weight")
        rules[f"{ours}.space.project.bias"] = same(f"{theirs}.gcn.conv.bias")
        importance = f"edge_importance.{ours.rpartition('.')[2]}"  # theirs: from, to
        return rules | {f"{ours}.space.importance": Rule((importance,), lambda tensor: tensor.mT)}

    def misfit(self, net: Backbone, tensors: Tensors) -> str:
        first = net.get_submodule("layers.0.space").get_buffer("graph")
        theirs = tensors.get("A", first.mT)
        alike = theirs.shape == first.shape and torch.allclose(theirs.mT, first, atol=1e-6)
        return "" if alike else f"its graph A is not that of the layout {net.layout.name}"

    def around(self, theirs: str, ours: str) -> Rules:
        return conv_norm(f"{theirs}.residual", f"{ours}.around")


def temporal_scales_rules(theirs: str, ours: str) -> Rules:
    """MS-TCN of CTR-GCN and InfoGCN: two dilated convolutions, a maximum, a 1x1 convolution."""
    rules = conv_norm(f"{theirs}.3", f"{ours}.3")
    for branch in range(3):
        rules |= conv_norm(f"{theirs}.{branch}", f"{ours}.{branch}")
    for branch in range(2):
        rules |= renamed(f"{theirs}.{branch}.3.conv", f"{ours}.{branch}.3")
        rules |= renamed(f"{theirs}.{branch}.3.bn", f"{ours}.{branch}.4", norm=True)
    return rules | renamed(f"{theirs}.2.4", f"{ours}.2.4", norm=True)


def _persons(tensors: Tensors, channels: int, joints: int) -> int:
    return max(1, len(tensors["data_bn.weight"]) // (channels * joints))


class CTRGCNRelease(GraphRelease):
    """CTR-GCN (Chen et al., ICCV 2021), model/ctrgcn.py."""

    name: ClassVar = "ctr_gcn"
    repository: ClassVar = "https://github.com/Uason-Chen/CTR-GCN"
    probe: ClassVar = "l1.gcn1.PA"
    left_out: ClassVar = r"fc\."
    normalization: ClassVar = NormalizeConfig()

    def shape(self, tensors: Tensors, joints: int) -> Shape:
        channels, joints = tensors["l1.gcn1.convs.0.conv3.weight"].shape[1], tensors[self.probe].shape[1]
        return Shape(CTRGCNConfig(), channels, joints, None, _persons(tensors, channels, joints))

    def layer(self, theirs: str, ours: str, space: nn.Module) -> Rules:
        def each(conv: str, part: str) -> tuple[str, ...]:
            return tuple(f"{theirs}.gcn1.convs.{graph}.{conv}.{part}" for graph in range(3))

        def ends(*tensors: Tensor) -> Tensor:
            return torch.cat(tensors).flatten(2)

        def side_by_side(*tensors: Tensor) -> Tensor:
            return torch.stack([tensor.squeeze() for tensor in tensors], 1).flatten(0, 1)

        gcn, convolve = f"{theirs}.gcn1", f"{ours}.space.convolve"
        rules = temporal_scales_rules(f"{theirs}.tcn1.branches", f"{ours}.time.branches")
        rules |= renamed(f"{gcn}.bn", f"{ours}.space.norm", norm=True)
        rules[f"{convolve}.graph"] = same(f"{gcn}.PA")
        rules[f"{convolve}.alpha"] = Rule((f"{gcn}.alpha",), lambda tensor: tensor[0])
        rules[f"{convolve}.ends.weight"] = Rule((*each("conv1", "weight"), *each("conv2", "weight")), ends)
        rules[f"{convolve}.ends.bias"] = Rule((*each("conv1", "bias"), *each("conv2", "bias")), _joined)
        for conv, layer in (("conv3", "project"), ("conv4", "refine")):
            for part in ("weight", "bias"):
                rules[f"{convolve}.{layer}.{part}"] = Rule(each(conv, part), side_by_side)
        if isinstance(space.get_submodule("around"), nn.Sequential):
            rules |= conv_norm(f"{gcn}.down", f"{ours}.space.around")
        return rules


class InfoGCNRelease(GraphRelease):
    """InfoGCN (Chi et al., CVPR 2022), model/infogcn.py; its (I - A^k) of the joints is a stream here."""

    name: ClassVar = "infogcn"
    repository: ClassVar = "https://github.com/stnoah1/infogcn"
    probe: ClassVar = "l1.agcn.shared_topology"
    left_out: ClassVar = r"(fc|fc_mu|fc_logvar|decoder)\."

    def shape(self, tensors: Tensors, joints: int) -> Shape:
        heads, joints, _ = tensors[self.probe].shape
        width, channels = tensors["to_joint_embedding.weight"].shape
        return Shape(InfoGCNConfig(heads=heads), channels, joints, None, _persons(tensors, width, joints))

    def rules(self, net: Backbone) -> Rules:
        def without_positions(mean: Tensor, positions: Tensor) -> Tensor:
            return mean[: positions.numel()] - positions.flatten()

        rules = super().rules(net) | renamed("to_joint_embedding", "stem.lift")
        rules["stem.norm.running_mean"] = Rule(("data_bn.running_mean", "pos_embedding"), without_positions)
        return rules

    def layer(self, theirs: str, ours: str, space: nn.Module) -> Rules:
        heads = len(space.get_parameter("convolve.topology"))
        parts = [f"{theirs}.agcn.conv_d.{head}" for head in range(heads)]
        gcn, mine = f"{theirs}.agcn", f"{ours}.space.convolve"
        rules = temporal_scales_rules(f"{theirs}.tcn.branches", f"{ours}.time.0.branches")
        rules |= renamed(f"{gcn}.bn", f"{ours}.space.norm", norm=True)
        rules |= renamed(f"{gcn}.attn.ln", f"{mine}.norm") | renamed(f"{gcn}.attn.to_qk", f"{mine}.query_key")
        rules[f"{mine}.topology"] = same(f"{gcn}.shared_topology")
        rules[f"{mine}.project.weight"] = Rule(
            tuple(f"{part}.weight" for part in parts), lambda *tensors: _joined(*tensors).flatten(1)
        )
        biases = tuple(f"{part}.bias" for part in parts)  # the following norm subtracts them
        rules[f"{ours}.space.norm.running_mean"] = Rule((f"{gcn}.bn.running_mean", *biases), _less)
        if isinstance(space.get_submodule("around"), nn.Sequential):
            rules |= conv_norm(f"{gcn}.down", f"{ours}.space.around")
        return rules


def _joined(*tensors: Tensor) -> Tensor:
    return torch.cat(tensors)


def _less(mean: Tensor, *biases: Tensor) -> Tensor:
    return mean - torch.stack(biases).sum(0)
