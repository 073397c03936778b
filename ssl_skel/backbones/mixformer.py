"""What FreqMixFormer and FreqMixFormerV2 share: frequencies, maps between joints, the temporal block, the frame.

FreqMixFormer (Wu et al., ACM MM 2024, arXiv 2407.12322), built on Skeleton-MixFormer (Xin et al., ACM MM 2023).
Tensors are (B, D, T, V), channels last in memory.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import TypeVar

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.mixformer import MixFormerConfig
from ssl_skel.backbones.layers import HiddenToken, temporal_scales
from ssl_skel.layouts import SkeletonLayout


class Spectrum(nn.Module):
    """Orthonormal cosine transform of signals of any length, and which of its coefficients are high.

    FreqMixFormer, Sec. 3.2: C_i = sqrt(2 / F) sum_f x_f (1 + [i = 1])^(-1/2) cos(pi (2f - 1)(i - 1) / (2F)), all F
    kept; the inverse is the transpose.

    Args:
        length: F that is expected; other lengths are computed when needed.
        cut: see ``MixFormerConfig.cut``.
    """

    def __init__(self, length: int, cut: float) -> None:
        super().__init__()
        self.cut = cut
        self.matrix: Tensor
        self.register_buffer("matrix", _cosines(length, torch.device("cpu")), persistent=False)

    def basis(self, length: int) -> Tensor:
        """(F, F): row i holds coefficient i, so that ``basis @ x`` transforms columns and ``basis.T`` inverts."""
        return self.matrix if length == len(self.matrix) else _cosines(length, self.matrix.device)

    def high(self, length: int) -> Tensor:
        """(F,) 1 where a coefficient is of high frequency, else 0."""
        return (torch.arange(length, device=self.matrix.device) >= math.ceil(self.cut * length)).to(self.matrix.dtype)

    def filter(self, length: int, gain: Tensor) -> Tensor:
        """(..., F, F): transform, scale coefficient i by ``gain[..., i]``, transform back."""
        basis = self.basis(length)
        return basis.T @ (gain.unsqueeze(-1) * basis)


def _cosines(length: int, device: torch.device) -> Tensor:
    at = torch.arange(length, device=device, dtype=torch.float32)
    cosines = torch.cos(math.pi / length * (at + 0.5) * at[:, None]) * math.sqrt(2 / length)
    return torch.where(at[:, None] == 0, cosines * math.sqrt(0.5), cosines)


def halves(x: Tensor, project: nn.Conv2d, groups: int) -> Tensor:
    """What queries and keys are made of: x (B, D, T, V) -> (B, groups, 2, T, V).

    Released code, model/spa_freq_mixf.py: within a group of the projected channels, the mean over the first half
    becomes the query, that over the second half the key. A mean of outputs is the output of mean weights, so the
    projected tensor, the largest of a block, need not be read for it.
    """
    weight, bias = (value.unflatten(0, (2 * groups, -1)).mean(1) for value in project.parameters())
    return functional.conv2d(x, weight, bias).unflatten(1, (groups, 2))


def relate(query: Tensor, key: Tensor) -> Tensor:
    """Maps (..., V, V) of queries and keys (..., F, V): softmax over keys of q_i . k_j / sqrt(F).

    FreqMixFormer, Sec. 3.3; F is 1 where time was averaged, as in the released code.
    """
    return (query.transpose(-1, -2) @ key / math.sqrt(query.shape[-2])).softmax(-1)


def apply_maps(maps: Tensor, values: Tensor) -> Tensor:
    """Sum over K of each map applied to its values, all channels of a group with the same map.

    out[b, g, c, t, r] = sum over k, j of maps[b, k, g, r, j] * values[b, (k, g, c), t, j].

    Shape:
        maps (B, K, G, R, V), values (B, K * G * D, T, V) -> (B, G * D, T, R), channels last
    """
    count, groups, frames = maps.shape[1], maps.shape[2], values.shape[2]
    rows = values.unflatten(1, (count, groups, -1)).permute(0, 2, 1, 5, 4, 3).flatten(4).flatten(2, 3)
    out = maps.permute(0, 2, 3, 1, 4).flatten(3) @ rows  # one product: (R, K * V) by (K * V, T * D)
    return out.unflatten(3, (frames, -1)).permute(0, 3, 2, 1, 4).flatten(3).permute(0, 3, 1, 2)


class ChannelGate(nn.Module):
    """Weight channels by their neighbours' means: x + x * sigmoid(conv(mean of x)).

    "Channel reforming" of Skeleton-MixFormer; released code, model/spa_freq_mixf.py: one kernel of 3 over channels.

    Shape:
        (B, D, T, V) -> the same
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + self.conv(x.mean((2, 3)).unsqueeze(1)).sigmoid()).permute(0, 2, 1).unsqueeze(3)


class Mixing(nn.Module, ABC):
    """Spatial part of a block: values under maps between joints, the channel gate, a norm, a residual around, ReLU.

    Args:
        config: the network's.
        layout: the skeleton.
        dim_in, dim: channels in and out; ``dim`` a multiple of 8.
        frames: T to expect.
    Shape:
        (B, dim_in, T, V) -> (B, dim, T, V)
    """

    def __init__(self, config: MixFormerConfig, layout: SkeletonLayout, dim_in: int, dim: int, frames: int) -> None:
        super().__init__()
        self.axis = config.dct_axis
        self.spectrum = Spectrum(frames if self.axis == "time" else layout.num_joints, config.cut)
        self.gate, self.norm = ChannelGate(), nn.BatchNorm2d(dim)
        self.skip: nn.Module = nn.Identity()
        if dim_in != dim:
            self.skip = nn.Sequential(nn.Conv2d(dim_in, dim, 1, bias=False), nn.BatchNorm2d(dim))

    @abstractmethod
    def attend(self, x: Tensor) -> Tensor:
        """The values of x (B, dim_in, T, V) under their maps: (B, dim, T, V)."""

    def forward(self, x: Tensor) -> Tensor:
        return (self.norm(self.gate(self.attend(x))) + self.skip(x)).relu()


class TemporalTransformer(nn.Module):
    """One map between frames for all joints.

    FreqMixFormer, Sec. 3.4; released code, model/tem_mixf.py: over joints and half the channels each, the mean
    becomes the query and the maximum the key, through one linear layer along time and an activation; the map is the
    sigmoid of their products.
    Departs from print: no softmax under the sigmoid, as in the released code.
    Departs from the released code: a frame gathers from keys, weighed by its own query; there it gathers from queries,
    weighed by its own key. LeakyReLU (0.1) for ReLU, which with few frames often starts with no query or no key above
    zero, and so without a gradient. The sum over frames is their mean, and the T x T layer is resampled for clips of
    another length; the norm that follows makes the first the same network, and both let T vary.

    Args:
        dim_in, dim: channels in and out.
        frames: T out, for clips of the length that training uses.
        stride: frames in per frame out.
    Shape:
        (B, dim_in, T, V) -> (B, dim, T / stride, V), normed
    """

    def __init__(self, dim_in: int, dim: int, frames: int, stride: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(dim_in, dim, 1, (stride, 1))
        self.linear = nn.Linear(frames, frames)
        self.norm = nn.BatchNorm2d(dim)

    def along_time(self, x: Tensor) -> Tensor:
        """The linear layer, resampled so that a slower clip meets the same function of time: (B, T) -> (B, T)."""
        frames, known = x.shape[1], self.linear.in_features
        if frames == known:
            return self.linear(x)
        weight = functional.interpolate(self.linear.weight[None, None], (frames, frames), mode="bilinear")[0, 0]
        bias = functional.interpolate(self.linear.bias[None, None], frames, mode="linear")[0, 0]
        return functional.linear(x, weight * (known / frames), bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        first, second = x.tensor_split(2, 1)
        query, key = (
            functional.leaky_relu(self.along_time(pooled), 0.1) for pooled in (first.mean((1, 3)), second.amax((1, 3)))
        )
        maps = (query.unsqueeze(2) * key.unsqueeze(1)).sigmoid() / x.shape[2]
        mixed = maps @ x.permute(0, 2, 3, 1).flatten(2)
        return self.norm(mixed.unflatten(2, (x.shape[3], -1)).permute(0, 3, 1, 2))


class SequenceGate(nn.Module):
    """Weight frames by the mean and the maximum of their features.

    Released code, model/tem_mixf.py, from Skeleton-MixFormer: sigmoid of a learned sum of the two.

    Shape:
        (B, dim_in, T, V) -> (B, dim, T / stride, V), normed
    """

    def __init__(self, dim_in: int, dim: int, stride: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(dim_in, dim, 1, (stride, 1))
        self.combine = nn.Linear(2, 1)
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        weight = self.combine(torch.stack([x.mean((1, 3)), x.amax((1, 3))], 2)).sigmoid()  # (B, T, 1)
        return self.norm(x * weight.unsqueeze(1))


class Block(nn.Module):
    """A spatial part, then five temporal branches side by side; a residual around both and ReLU.

    Released code, model/{skefreqmixformer,tem_mixf}.py: two dilated convolutions, a max-pool, the temporal
    transformer and the sequence gate, a fifth of the channels each.

    Args:
        spatial: (B, dim_in, T, V) -> (B, dim, T, V).
        dim_in, dim: channels in and out; ``dim`` a multiple of 5.
        frames: T in.
        stride: frames in per frame out.
        first: no residual, as nothing was computed yet.
    Shape:
        (B, dim_in, T, V) -> (B, dim, T / stride, V)
    """

    def __init__(self, spatial: nn.Module, dim_in: int, dim: int, frames: int, stride: int, first: bool) -> None:
        super().__init__()
        self.spatial = spatial
        width, after = dim // 5, max(1, frames // stride)
        self.branches = nn.ModuleList(
            [
                *temporal_scales(dim, width, stride, 5, (1, 2)),
                TemporalTransformer(dim, width, after, stride),
                SequenceGate(dim, width, stride),
            ]
        )
        self.skip: nn.Module | None = None if first else nn.Identity()
        if not first and (dim_in != dim or stride > 1):
            self.skip = nn.Sequential(nn.Conv2d(dim_in, dim, 1, (stride, 1), bias=False), nn.BatchNorm2d(dim))

    def forward(self, x: Tensor) -> Tensor:
        spatial = self.spatial(x)
        out = torch.cat([branch(spatial) for branch in self.branches], 1)
        return out.relu() if self.skip is None else (out + self.skip(x)).relu()


class SidePath(nn.Module):
    """Features before a temporal stride, averaged to the last block's frames and added to its output.

    Released code, model/skefreqmixformer.py (its blocks 4 and 7).

    Shape:
        (B, dim_in, T, V) -> (B, dim, T / stride, V)
    """

    def __init__(self, dim_in: int, dim: int, stride: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d((stride, 1))
        self.project = nn.Sequential(nn.Conv2d(dim_in, dim, 1, bias=False), nn.BatchNorm2d(dim), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.pool(x))


ConfigT = TypeVar("ConfigT", bound=MixFormerConfig, covariant=True, default=MixFormerConfig)


class MixFormer(Backbone[ConfigT]):
    """The frame of both networks: embedding, blocks, side paths.

    Attributes:
        Spatial: the spatial part of its blocks.

    Departs from the released code: its (I - A^k) of the joints is the choice of a stream here (k = 8, "joint", is the
    joints as they are); its learned vector per joint is left out, since the norm per joint and channel right after it
    subtracts it again and adds its own; that norm does not distinguish first and second person.
    Paper silent: masks. A hidden joint is a learned vector at the input.

    Args:
        config: a ``MixFormerConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: frames of a clip; the network itself takes any multiple of ``t_stride``.
    """

    Spatial: ClassVar[type[Mixing]]

    def __init__(self, config: ConfigT, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        widths, strides, self.patch = config.arch
        self.dim, self.t_stride = widths[-1], self.patch * math.prod(strides)
        self.hidden_token = HiddenToken(channels, layout.num_joints)
        self.embed = nn.Conv2d(channels * self.patch, widths[0], 1, bias=False)
        self.norm = nn.BatchNorm1d(layout.num_joints * widths[0])
        self.blocks, self.sides = nn.ModuleList(), nn.ModuleDict()
        for at, (width, stride) in enumerate(zip(widths, strides, strict=True)):
            dim_in = widths[max(at - 1, 0)]
            frames = max(1, num_frames // self.patch // math.prod(strides[:at]))
            if stride > 1:
                self.sides[str(at)] = SidePath(dim_in, self.dim, math.prod(strides[at:]))
            spatial = self.Spatial(config, layout, dim_in, width, frames)
            self.blocks.append(Block(spatial, dim_in, width, frames, stride, first=at == 0))
        for module in self.own_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        tokens = self.hidden_token(x, mask).unflatten(2, (-1, self.patch)).permute(0, 2, 4, 1, 3).flatten(3)
        rows = self.embed(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).flatten(2)  # (B, T, V * D)
        normed = self.norm(rows.flatten(0, 1)).view(rows.shape)
        x = normed.unflatten(2, (self.layout.num_joints, -1)).permute(0, 3, 1, 2)
        kept = []
        for at, block in enumerate(self.blocks):
            if str(at) in self.sides:
                kept.append(self.sides[str(at)](x))
            x = block(x)
        return sum(kept, x)

    def stages(self) -> list[nn.Module]:
        return [nn.ModuleList([self.hidden_token, self.embed, self.norm]), *self.blocks, self.sides]
