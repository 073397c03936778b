"""What is known about a release: the network of its weights, and which tensor goes where."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.data.normalize import NormalizeConfig

Tensors = Mapping[str, Tensor]


class Rule(NamedTuple):
    """How one of our tensors is made: from which of theirs, and by which function."""

    names: tuple[str, ...]
    make: Callable[..., Tensor]


Rules = dict[str, Rule]


class Shape(NamedTuple):
    """What a release's tensors say about its network.

    Attributes:
        config: options of the network.
        channels: C.
        joints: V; None: the tensors do not say.
        frames: T that it was trained with; None: they do not say.
        persons: how many persons its first norm distinguishes; the first one's part is taken.
    """

    config: BackboneConfig
    channels: int
    joints: int | None = None
    frames: int | None = None
    persons: int = 1


class Release(ABC):
    """One release.

    Attributes:
        name: what the command calls it.
        repository: where its code is.
        probe: name of a tensor that all its files have.
        prefixes: stream -> what its tensors' names may begin with.
        frames: of a clip, where the tensors do not say.
        left_out: pattern of the names that an encoder has no use for, such as heads.
        normalization: how its clips were normalised, if this package can do the same; of the layout ``ntu25``.
    """

    name: ClassVar[str]
    repository: ClassVar[str]
    probe: ClassVar[str]
    prefixes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    frames: ClassVar[int] = 64
    left_out: ClassVar[str]
    normalization: ClassVar[NormalizeConfig | None] = None

    @abstractmethod
    def shape(self, tensors: Tensors, joints: int) -> Shape:
        """What the tensors say of the network; ``joints`` is what the user's layout has.

        Raises:
            KeyError, IndexError, TypeError, ValueError, ArithmeticError: they are not of this release.
        """

    def misfit(self, net: Backbone, tensors: Tensors) -> str:
        """Why a network with the weights would not compute what the release does; empty where it does."""
        return ""

    @abstractmethod
    def rules(self, net: Backbone) -> Rules:
        """How each of a network's tensors is made."""


def same(name: str) -> Rule:
    """The tensor as it is."""
    return Rule((name,), lambda tensor: tensor)


def flat(name: str) -> Rule:
    """The weight of a 1x1 convolution as a matrix."""
    return Rule((name,), lambda weight: weight.flatten(1))


def patches_of_a_joint(weight: Tensor) -> Tensor:
    """The weight of a convolution over the frames of a joint as a matrix: (D, C, u, 1) -> (D, u * C)."""
    return weight.squeeze(3).transpose(1, 2).flatten(1)


def renamed(theirs: str, ours: str, *, norm: bool = False) -> Rules:
    """``weight`` and ``bias`` of a layer, and a BatchNorm's statistics."""
    parts = ("weight", "bias", *(("running_mean", "running_var", "num_batches_tracked") if norm else ()))
    return {f"{ours}.{part}": same(f"{theirs}.{part}") for part in parts}


def conv_norm(theirs: str, ours: str) -> Rules:
    """A convolution and the BatchNorm behind it, items 0 and 1 of both."""
    return renamed(f"{theirs}.0", f"{ours}.0") | renamed(f"{theirs}.1", f"{ours}.1", norm=True)


def absorbed(conv: str, norm: str, ours_conv: str, ours_norm: str) -> Rules:
    """A convolution with a bias that ours lacks: it goes into the mean of the following norm."""
    rules = renamed(norm, ours_norm, norm=True) | {f"{ours_conv}.weight": same(f"{conv}.weight")}
    rules[f"{ours_norm}.running_mean"] = Rule((f"{norm}.running_mean", f"{conv}.bias"), torch.sub)
    return rules
