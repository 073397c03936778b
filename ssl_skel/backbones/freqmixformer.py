"""FreqMixFormer: mixed attention between joints, in space and in the frequency domain.

Wu, Zheng, Yang, Chen, Das & Lu, ACM MM 2024 (arXiv 2407.12322). Paper and released code differ; where they do,
each class says which one it follows.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.backbones.configs.mixformer import FreqMixFormerConfig
from ssl_skel.backbones.mixformer import MixFormer, Mixing, apply_maps, halves, relate
from ssl_skel.layouts import SkeletonLayout

GROUPS = 4
"""Channel groups with a map of their own (released code; paper: n)."""
GRAPHS = 8
"""Channel groups with a learned graph of their own (released code)."""


class FrequencyMixing(Mixing):
    """Spatial and frequency-aware mixed attention: a channel group has its own map and two mixed with its neighbours.

    FreqMixFormer, Sec. 3.3; released code, model/spa_freq_mixf.py. For each of the skeleton's three directions the
    values are cut into 4 groups; a group's own map relates its queries and keys, a mixed map the next group's queries
    to its keys. Weights as in the release: half the own map, a quarter of each neighbouring mixed map. The map of a
    channel is half the sum of the spatial and the frequency map, plus the skeleton and a learned graph.

    Frequency path. ``joint``: queries and keys are cosine coefficients over joints; the operator scales the
    columns of the map and the inverse transform runs along its rows. ``time``: queries and keys hold a
    coefficient of the joint's path each; a map between joints has no frequency, so what it is applied to is
    transformed, scaled and transformed back: IDCT(psi(MF DCT(v))).
    Departs from the released code: as in the paper, maps weight keys (its contraction runs over queries, and its mixed
    maps are normalised over the next group's queries), and the operator scales the whole map, not its mixed part
    alone; groups of the learned graph are contiguous; three layers that it builds and never calls are left out;
    norms start at 1, as they do there after its last initialisation.
    Queries and keys of the cosine transform are orthonormal coefficients, as in the paper; the release has plain ones.
    The skeleton's directions are the fixed graph and the start of the learned ones, each row the mean of its
    neighbours, the root the layout's own; in the release columns sum to 1, as in ``CTRGC``.
    """

    def __init__(self, config: FreqMixFormerConfig, layout: SkeletonLayout, dim_in: int, dim: int, frames: int) -> None:
        super().__init__(config, layout, dim_in, dim, frames)
        self.phi, joints = config.phi, layout.num_joints
        self.values = nn.Conv2d(dim_in, 3 * dim, 1)
        self.own, self.cross = nn.Linear(joints, joints), nn.Linear(joints, joints)
        self.skeleton: Tensor  # (3, 1, V, V)
        self.register_buffer("skeleton", torch.from_numpy(layout.directions()).unsqueeze(1), persistent=False)
        self.graph = nn.Parameter(self.skeleton.repeat(1, GRAPHS, 1, 1))

    def mixed(self, signal: Tensor) -> Tensor:
        """Queries and keys (B, 3, 4, 2, F, V) -> mixed maps (B, 3, 4, V, V)."""
        query, key = self.own(signal).relu().unbind(3)
        own = relate(query, key)
        query, key = self.cross(signal).relu().unbind(3)
        cross = relate(query[:, :, 1:], key[:, :, :-1])  # of groups 1-2, 2-3 and 3-4
        beside = functional.pad(cross, (0, 0, 0, 0, 0, 1)) + functional.pad(cross, (0, 0, 0, 0, 1, 0))
        return own / 2 + beside / 4

    def attend(self, x: Tensor) -> Tensor:
        values, (frames, joints) = self.values(x), x.shape[2:]
        signal = halves(x, self.values, 3 * GROUPS).unflatten(1, (3, GROUPS))
        still = signal.mean(4, keepdim=True)
        spatial = self.mixed(still)
        length = frames if self.axis == "time" else joints
        basis, high = self.spectrum.basis(length), self.spectrum.high(length)
        if self.axis == "joint":
            frequency = self.mixed(still @ basis.T) * (self.phi + high) @ basis
            return apply_maps(self.per_graph(spatial + frequency) / 2 + self.skeleton + self.graph, values)
        frequency = self.mixed(basis @ signal)
        maps = [self.per_graph(spatial) / 2 + self.skeleton + self.graph, self.per_graph(frequency) / 2]
        direct, banded = apply_maps(torch.cat(maps, 3), values).tensor_split(2, 3)
        rows = banded.permute(0, 2, 3, 1).flatten(2)
        rows = self.spectrum.filter(frames, self.phi + high) @ rows
        return direct + rows.unflatten(2, (joints, -1)).permute(0, 3, 1, 2)

    @staticmethod
    def per_graph(maps: Tensor) -> Tensor:
        """One map per channel group -> the same, once for each learned graph: (B, 3, 4, V, V) -> (B, 3, 8, V, V)."""
        return maps.repeat_interleave(GRAPHS // GROUPS, 2)


class FreqMixFormer(MixFormer[FreqMixFormerConfig]):
    """Frequency-aware Mixed Transformer.

    FreqMixFormer (Wu et al., ACM MM 2024). ``base`` has 2.0 M parameters with 60 classes (released code: 2.07 M)
    and, for two persons, 64 frames and 25 joints, 3.1 G multiply-adds (2.6 G with ``dct_axis: joint``).
    """

    Config: ClassVar = FreqMixFormerConfig
    Spatial: ClassVar[type[Mixing]] = FrequencyMixing
