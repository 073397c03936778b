"""Augmentations of when things happen."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ssl_skel.batch import Rng
from ssl_skel.data.augment.base import Augmentation
from ssl_skel.data.augment.config import ReverseConfig, TimeWarpConfig


class Reverse(Augmentation[ReverseConfig]):
    """Play the clip backwards. AimCLR (Guo et al., AAAI 2022), feeder/tools.py."""

    Config: ClassVar = ReverseConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        return torch.where(rng.uniform(1, 1, 1, 1) < self.config.probability, x.flip(2), x)


class TimeWarp(Augmentation[TimeWarpConfig]):
    """Play parts of the clip slower and others faster; its first and last frame stay where they are.

    The logarithm of the speed is normal at a few knots and runs on straight lines between them, so that the warp is
    smooth and time never runs backwards. Frames are interpolated on straight lines; all persons are warped alike. Ours.
    """

    Config: ClassVar = TimeWarpConfig

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        frames = x.shape[2]
        if frames < 2:
            return x
        at = warped_times(self.config.strength * rng.normal(self.config.knots), frames)
        before = at.long()
        return between_frames(x, before, (before + 1).clamp(max=frames - 1), at - before)


def warped_times(log_speed: Tensor, frames: int) -> Tensor:
    """Where each frame of a warped clip is taken from.

    Args:
        log_speed: logarithm of the speed at evenly spaced knots, (N, knots); only differences matter.
        frames: T, at least 2.

    Returns:
        (N, T) float32, from 0 to T - 1, ascending.
    """
    speed = functional.interpolate(log_speed[:, None], frames - 1, mode="linear", align_corners=True)[:, 0].exp()
    passed = functional.pad(speed.cumsum(1), (1, 0))
    at = (passed * ((frames - 1) / passed[:, -1:])).clamp(max=frames - 1)
    at[:, -1] = frames - 1  # and not a rounding error before it
    return at


def between_frames(x: Tensor, before: Tensor, after: Tensor, weight: Tensor) -> Tensor:
    """Clips (N, C, T, V, M) whose frames lie on straight lines between two frames of ``x`` each.

    Args:
        x: clips.
        before, after: numbers of the two frames, (N, T) int64.
        weight: share of the second, (N, T).
    """
    clip = torch.arange(len(x), device=x.device)[:, None]
    by_frame = x.movedim(2, 1)
    found = torch.lerp(by_frame[clip, before], by_frame[clip, after], weight[:, :, None, None, None])
    return found.movedim(1, 2)
