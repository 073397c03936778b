"""FreqMixFormerV2: the same frame with one map per channel group: some spatial, some of slow and some of fast motion.

Wu, Wang, Chen & Lu, FG 2025 (arXiv 2412.20621). No code was published; where the paper is silent, each class says
what was chosen.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ssl_skel.backbones.configs.mixformer import FreqMixFormerV2Config
from ssl_skel.backbones.mixformer import MixFormer, Mixing, apply_maps, halves, relate
from ssl_skel.layouts import SkeletonLayout

GROUPS = 4
"""Channel groups: two spatial, one of high and one of low frequency."""


class BandMixing(Mixing):
    """Spatial, high- and low-frequency attention blocks (SAB, HFAB, LFAB), each on channels of its own.

    FreqMixFormerV2, abstract: three blocks, a high-low-frequency operator that tunes the two bands separately,
        simplified
    attention, about 60 % of FreqMixFormer's parameters.
    Paper silent: nearly all else. Here half the channels are spatial, a quarter each belongs to a band; no
    mixed maps; one set of values instead of one for each direction of the skeleton, which is what saves most
    parameters; each block has a learned gain. The operator of a band scales its own coefficients by 1 + phi and the
    others by phi, phi learned, one per band, in (0, 1), from 0.5. ``time``: the output of a band's block is
    transformed, scaled and transformed back. ``joint``: as in ``FrequencyMixing``.
    The sum of the skeleton's directions is the fixed graph and the start of the learned ones.
    """

    def __init__(
        self, config: FreqMixFormerV2Config, layout: SkeletonLayout, dim_in: int, dim: int, frames: int
    ) -> None:
        super().__init__(config, layout, dim_in, dim, frames)
        self.values = nn.Conv2d(dim_in, dim, 1)
        self.linear = nn.Linear(layout.num_joints, layout.num_joints)
        self.phi = nn.Parameter(torch.zeros(2))
        """High, low; through a sigmoid."""
        self.gain = nn.Parameter(torch.full((GROUPS, 1, 1), 0.5))
        self.skeleton: Tensor  # (V, V)
        self.register_buffer("skeleton", torch.from_numpy(layout.directions().sum(0)), persistent=False)
        self.graph = nn.Parameter(self.skeleton.repeat(GROUPS, 1, 1))

    def operators(self, length: int) -> Tensor:
        """(2, F): what the high and the low block scale each coefficient by."""
        high = self.spectrum.high(length)
        return self.phi.sigmoid()[:, None] + torch.stack([high, 1 - high])

    def attend(self, x: Tensor) -> Tensor:
        frames, joints = x.shape[2:]
        spatial, bands = halves(x, self.values, GROUPS).chunk(2, 1)  # (B, 2, 2, T, V) each
        spatial = spatial.mean(3, keepdim=True)
        length = frames if self.axis == "time" else joints
        basis, operators = self.spectrum.basis(length), self.operators(length)
        bands = basis @ bands if self.axis == "time" else bands.mean(3, keepdim=True) @ basis.T
        near, banded = (relate(*self.linear(signal).relu().unbind(2)) for signal in (spatial, bands))
        if self.axis == "joint":
            banded = banded * operators.unsqueeze(1) @ basis
        maps = torch.cat([near, banded], 1) * self.gain + self.skeleton + self.graph
        out = apply_maps(maps.unsqueeze(1), self.values(x))
        if self.axis == "joint":
            return out
        still, moving = out.chunk(2, 1)
        rows = moving.unflatten(1, (2, -1)).permute(0, 1, 3, 4, 2).flatten(3)  # (B, 2, T, V * D / 4)
        rows = self.spectrum.filter(frames, operators) @ rows
        moving = rows.unflatten(3, (joints, -1)).permute(0, 1, 4, 2, 3).flatten(1, 2)
        return torch.cat([still, moving], 1)


class FreqMixFormerV2(MixFormer[FreqMixFormerV2Config]):
    """Lightweight Frequency-aware Mixed Transformer.

    FreqMixFormerV2 (Wu et al., FG 2025). ``base`` has 1.2 M parameters with 60 classes, about 60 % of FreqMixFormer's,
    and, for two persons, 64 frames and 25 joints, 1.6 G multiply-adds.
    """

    Config: ClassVar = FreqMixFormerV2Config
    Spatial: ClassVar[type[Mixing]] = BandMixing
