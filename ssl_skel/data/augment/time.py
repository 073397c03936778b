"""Augmentations of when things happen."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ssl_skel.batch import Rng
from ssl_skel.data.augment.base import Augmentation
from ssl_skel.data.augment.config import ReverseConfig


class Reverse(Augmentation[ReverseConfig]):
    """Play the clip backwards. AimCLR (Guo et al., AAAI 2022), feeder/tools.py."""

    Config: ClassVar = ReverseConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        return torch.where(rng.uniform(1, 1, 1, 1) < self.config.probability, x.flip(2), x)
