"""Losses of the pretexts, on packed persons; each is a mean over clips."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_skel.encoders.encoder import pool_persons


def to_patches(x: Tensor, unit: int) -> Tensor:
    """Cut each joint's path into units: (B, C, T, V) -> (B, T / u, V, u * C), frame by frame."""
    return torch.unflatten(x, 2, (-1, unit)).permute(0, 2, 4, 3, 1).flatten(3)


def normalize_patches(patches: Tensor, eps: float = 1e-6) -> Tensor:
    """Each patch minus its own mean, over its own deviation: (..., P) -> (..., P).

    MAE (He et al., CVPR 2022), as MAMP uses it: unbiased variance over all P values of the patch.

    Args:
        patches: P >= 2 values in the last axis.
        eps: added to the variance, in squared units of the values. It is the floor below which a
            patch counts as still: 1e-6 is one millimetre, squared.
    """
    mean = patches.mean(-1, keepdim=True)
    return (patches - mean) / (patches.var(-1, keepdim=True) + eps).sqrt()


def masked_mse(prediction: Tensor, target: Tensor, mask: Tensor, present: Tensor) -> Tensor:
    """Squared error of hidden units: mean over values, hidden units, persons, then clips.

    Args:
        prediction: (B, U, V, P).
        target: (B, U, V, P).
        mask: (B, U, V) bool, True = HIDDEN; at least one in each sample.
        present: (N, M) bool, B = present.sum().

    Returns:
        Scalar; a clip without persons adds zero.
    """
    error = (prediction - target).square().mean(-1)
    person = (error * mask).sum((1, 2)) / mask.sum((1, 2))
    return pool_persons(person, present).mean()
