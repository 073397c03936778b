"""Augmentations of what a sensor does: noise, lost joints, lost frames."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ssl_skel.batch import Rng
from ssl_skel.data.augment.base import Augmentation
from ssl_skel.data.augment.config import FrameDropoutConfig, JitterConfig, JointDropoutConfig
from ssl_skel.data.augment.time import between_frames


class Jitter(Augmentation[JitterConfig]):
    """Add Gaussian noise, independent for every number, as a noisy sensor does.

    AimCLR (Guo et al., AAAI 2022), feeder/tools.py. Departs from print: always, not with probability 0.5.
    """

    Config: ClassVar = JitterConfig
    keeps_zero = False

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        noise = rng.normal(*x.shape[1:])
        noise[:, self.layout.coordinates(x.shape[1]) :] = 0
        return x + self.config.sigma * noise


class JointDropout(Augmentation[JointDropoutConfig]):
    """Lay some joints at the origin, the clip's centre, for the whole clip: joints that a camera never saw.

    ISC (Thoker et al., ACM MM 2021), feeder/augmentations.py.
    Departs from print: each joint independently with a probability, where ISC drops 15 of 25.
    """

    Config: ClassVar = JointDropoutConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        kept = rng.uniform(1, 1, x.shape[3], 1) >= self.config.probability
        return torch.where(kept, x, 0.0)


class FrameDropout(Augmentation[FrameDropoutConfig]):
    """Lose some frames and bridge the gaps on straight lines; before the first and after the last kept one, hold.

    At least one frame of a clip stays. Paper silent: this is what a converter does with a camera's lost frames.
    """

    Config: ClassVar = FrameDropoutConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        frames = x.shape[2]
        luck = rng.uniform(frames)
        kept = (luck >= self.config.probability) | (luck == luck.amax(1, keepdim=True))
        frame = torch.arange(frames, device=x.device)
        before = torch.where(kept, frame, -1).cummax(1).values
        after = torch.where(kept, frame, frames).flip(1).cummin(1).values.flip(1)
        before, after = torch.where(before < 0, after, before), torch.where(after == frames, before, after)
        weight = (frame - before) / (after - before).clamp(min=1)
        return between_frames(x, before, after, weight)
