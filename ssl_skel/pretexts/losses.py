"""Losses of the pretexts, on packed persons; each is a mean over clips."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

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


def masked_mse(
    prediction: Tensor, target: Tensor, mask: Tensor, present: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Squared error of hidden units: mean over values, hidden units, persons, then clips.

    Args:
        prediction: (B, U, V, P).
        target: (B, U, V, P).
        mask: (B, U, V) bool, True = HIDDEN; at least one in each sample.
        present: (N, M) bool, B = present.sum().
        weight: (B, U, V, P), of each squared error; None: 1.

    Returns:
        Scalar; a clip without persons adds zero.
    """
    errors = (prediction - target).square()
    return mean_of_hidden((errors if weight is None else weight * errors).mean(-1), mask, present)


def masked_cosine(prediction: Tensor, target: Tensor, mask: Tensor, present: Tensor, power: float) -> Tensor:
    """(1 - cosine) ** power of hidden units, averaged as ``masked_mse`` is: lengths do not count, easy units count
    less.

    SkeletonMAE of Yan et al. (ICCV 2023), after GraphMAE (Hou et al., KDD 2022, Eq. 2). A unit of zeros has cosine 0.
    Departs from print (Yan et al.): the mean, as in GraphMAE; they sum ((1 - cosine) / hidden joints) ** power, which
    is the same but for a factor. Their target is a joint's features, as we read it after the first linear layer; here
    its coordinates, which no weights can make alike.

    Args:
        prediction, target, mask, present: see ``masked_mse``.
        power: 1 or more.
    """
    error = (1 - functional.cosine_similarity(prediction, target, -1)).clamp(min=0)  # rounding may give less
    return mean_of_hidden(error**power, mask, present)


def mean_of_hidden(error: Tensor, mask: Tensor, present: Tensor) -> Tensor:
    """Mean of errors (B, U, V) over hidden units, persons, then clips; zero for a person of whom nothing is hidden."""
    person = (error * mask).sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)
    return pool_persons(person, present).mean()
