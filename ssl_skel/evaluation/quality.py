"""What features look like without labels: whether they have collapsed, and how they spread.

Collapse has two forms. Complete: all clips have the same feature; dimensional: features fill only a few of
their directions. None of these numbers says that features are good, only that they can be: noise is
isotropic too, and a constant is perfectly aligned. Watch them together, and next to a probe.

===================  ===================  =====================  ======================
measure              range                complete collapse      isotropic features
===================  ===================  =====================  ======================
``feature_std``      0 to 1               0                      1
``rankme``           1 to min(N, D)       1                      near min(N, D)
``uniformity``       -8 to 0              0                      near -4
``alignment``        0 to 4               0 (good, or collapse)  2 for unrelated pairs
===================  ===================  =====================  ======================

``feature_std``, ``uniformity`` and ``alignment`` put features on the unit sphere first, where a zero vector
stays zero; so only directions count. All computation is in float64.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ssl_skel.evaluation.knn import unit as unit_rows

_unit = partial(unit_rows, dtype=np.float64)

LIMIT = 4096
"""Most rows that ``rankme`` and ``uniformity`` look at; of more, ``evenly_spaced`` ones. Keeps both near a second."""


def evenly_spaced(count: int, most: int = LIMIT) -> np.ndarray:
    """Rows that stand for ``count`` rows: all of them, or ``most`` at even distances, first and last among them.

    Returns:
        (min(count, most),) int64, ascending, distinct.
    """
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(np.int64)


def feature_std(features: np.ndarray) -> float:
    """Standard deviation over clips of normalised features, relative to that of isotropic ones.

    SimSiam (Chen & He, CVPR 2021), Sec. 4.1: the std of each channel of z / ||z||, averaged over channels,
    which is 1 / sqrt(D) for a zero-mean isotropic Gaussian, and zero for an encoder that collapsed.
    Departs from print: multiplied by sqrt(D), so that 1 is the isotropic value whatever the width.
    Paper silent: which std; it is the population's here (divided by N). Then 1 is also the largest value.

    Args:
        features: (N, D), at least one row.

    Returns:
        From 0, collapsed, to 1. Features that share a large mean are low too: all point the same way.
    """
    return float(_unit(features).std(0).mean() * np.sqrt(features.shape[1]))


def rankme(features: np.ndarray) -> float:
    """Effective rank: how many directions the features use, each counted by its share.

    RankMe (Garrido et al., ICML 2023), Eqs. 1-2: exp(-sum_k p_k log p_k) with p_k = sigma_k / sum(sigma) + eps,
    eps = 1e-7 as there for float32, over the min(N, D) singular values of the features, neither centred nor
    normalised; the exponential of the entropy of Roy & Vetterli (EUSIPCO 2007).
    Departs from print: the paper takes 25600 samples, here there are ``LIMIT`` at most. Compare values
    of equal N and D only.
    Paper silent: features that are all zero, whose rank is 1 here, as of any other constant.

    Args:
        features: (N, D), at least one row, finite.

    Returns:
        About 1, all features on one line (a collapsed encoder), to min(N, D), all directions alike.

    Raises:
        numpy.linalg.LinAlgError: features that are not finite.
    """
    chosen = features[evenly_spaced(len(features))].astype(np.float64)
    sigma = np.linalg.svd(chosen, compute_uv=False)
    share = sigma / max(sigma.sum(), np.finfo(np.float64).tiny) + 1e-7
    return float(np.exp(-(share * np.log(share)).sum()))


def uniformity(features: np.ndarray) -> float:
    """Log of the mean Gaussian potential between distinct clips: how evenly features cover the sphere.

    Wang & Isola (ICML 2020), Eq. for L_uniform with t = 2: log mean exp(-2 ||a - b||^2) over pairs of
    normalised features. Lower is more even.

    Args:
        features: (N, D).

    Returns:
        0 where all features are one (a collapsed encoder), down to -4 + O(1 / D) for features spread evenly over
        the sphere, whatever their number; only two opposite points reach -8. Not a number for fewer than two rows.
    """
    unit = _unit(features[evenly_spaced(len(features))])
    count = len(unit)
    if count < 2:
        return float("nan")
    square = (unit**2).sum(1)
    potential = unit @ unit.T  # the one (N, N) array, changed in place
    potential *= 2
    potential -= square[:, None]
    potential -= square
    potential *= 2
    np.exp(np.minimum(potential, 0, out=potential), out=potential)
    np.fill_diagonal(potential, 0)
    return float(np.log(potential.sum() / (count * (count - 1))))


def alignment(first: np.ndarray, second: np.ndarray) -> float:
    """Mean squared distance between normalised features of two views of the same clips.

    Wang & Isola (ICML 2020), Eq. for L_align with alpha = 2. It equals 2 - 2 cos of the angle, averaged.

    Args:
        first, second: (N, D) each, one row per clip, at least one.

    Returns:
        From 0, identical views, to 4, opposite; 2 for views that have nothing in common. A collapsed encoder has 0 as
        well: read it together with ``uniformity``.

    Raises:
        ValueError: shapes that differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"two views of the same clips have one shape, got {first.shape} and {second.shape}")
    return float(((_unit(first) - _unit(second)) ** 2).sum(1).mean())
