"""Weights of errors by motion energy: moving joints count more."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_skel.pretexts.configs.focus import FocusConfig

STILL = 1e-8
"""Added to an energy, squared units of the coordinates: a tenth of a millimetre, squared. Paper not at hand."""


def window_energy(x: Tensor, window: int) -> Tensor:
    """Mean squared distance of a joint from its own mean within each window: (B, C, T, V) -> (B, windows, V).

    The last window is shorter where ``window`` does not divide T.
    """
    return torch.stack([part.var(2, correction=0).sum(1) for part in x.split(window, 2)], 1)


def focus_weights(x: Tensor, config: FocusConfig) -> Tensor:
    """Weight of each joint in each frame, between 0 and 1: (B, C, T, V) -> (B, T, V).

    AMR (Sun et al., CVPR 2026, arXiv 2606.11450): at each scale 1 / (1 + k * threshold / energy), the threshold being
    the person's mean energy over windows and joints. From a published summary, the paper was not at hand; how scales
    are combined is not known to us; here by their mean.

    Args:
        x: coordinates of persons.
        config: windows and k.
    """
    scales = []
    for window in config.windows:
        energy = window_energy(x, window)
        weight = 1 / (1 + config.k * energy.mean((1, 2), keepdim=True) / (energy + STILL))
        scales.append(weight.repeat_interleave(window, 1)[:, : x.shape[2]])
    return torch.stack(scales).mean(0)
