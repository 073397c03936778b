"""How the vectors of an index are distributed, and what a similarity means in it.

All vectors of an encoder point about the same way: on NW-UCLA, 90 % of the pairs of clips have cosines between 0.992
and 0.997. Cosines of what is left when the index's mean vector is subtracted use the whole range. ``docs/decisions``
(0109) has the comparison with other scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from ssl_skel.evaluation.knn import unit
from ssl_skel.evaluation.quality import evenly_spaced, rankme

_unit = partial(unit, dtype=np.float64)  # differences from the mean are small

SAMPLE = 1000
"""Rows in the sample, evenly through the index."""

_FEWEST = 20  # with fewer rows there is no warning that all are alike
_LEAST_RANK, _LEAST_SPREAD = 2.0, 1e-5


@dataclass(frozen=True, eq=False)
class Spread:
    """What a sample of an index's vectors says about all of them.

    Attributes:
        rows: in the sample.
        mean: (D,) mean of the vectors, which have length 1.
        pairs: (P,) centred cosines of pairs of rows of different clips, ascending.
        usual: centred cosine that 95 % of the sample's rows reach with a row of another clip; a guide for ``--min``.
        rank: effective rank of the vectors' covariance (``rankme`` of it): along how many axes they vary, each counted
            by its share of the variance; 1 if all are on one line.
        cosine: median cosine of the pairs, not centred.
    """

    rows: int
    mean: np.ndarray
    pairs: np.ndarray
    usual: float
    rank: float
    cosine: float

    @classmethod
    def of(cls, vectors: np.ndarray, clips: np.ndarray) -> Spread:
        """From vectors (N, D), N at least 1, and the clips that they belong to, (N,) numbers or records."""
        chosen = evenly_spaced(len(vectors), SAMPLE)
        sample, clip = vectors[chosen], clips[chosen]
        whole = np.isfinite(sample).all(1)  # an index may be damaged
        sample, clip = _unit(sample[whole]), clip[whole]
        if not len(sample):
            return cls(rows=0, mean=np.zeros(vectors.shape[1]), pairs=np.zeros(0), usual=0.0, rank=1.0, cosine=0.0)
        mean = sample.mean(0)
        rest = sample - mean
        centred = _unit(rest)
        near = centred @ centred.T
        other = clip[:, None] != clip[None]
        best = np.where(other, near, -np.inf).max(1)
        above = other & np.tri(len(sample), k=-1, dtype=bool)
        return cls(
            rows=len(sample),
            mean=mean,
            pairs=np.sort(near[above]),
            usual=float(np.quantile(best[np.isfinite(best)], 0.05)) if above.any() else 0.0,
            rank=rankme(rest @ rest.T),  # as of the covariance: both have the same eigenvalues
            cosine=float(np.median((sample @ sample.T)[above])) if above.any() else 0.0,
        )

    def centred(self, query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """Cosines after the mean was subtracted: 0 for two clips with no more in common than any two.

        Args:
            query: (D,), of any length.
            vectors: (K, D), of any length.

        Returns:
            (K,) float64 between -1 and 1.
        """
        (one,) = _unit(_unit(query[None]) - self.mean)
        return np.clip(_unit(_unit(vectors) - self.mean) @ one, -1, 1)

    def percentile(self, centred: float) -> float:
        """Per cent of the pairs that are less similar than this centred cosine; 100 where there are no pairs."""
        if not len(self.pairs):
            return 100.0
        return float(100 * np.searchsorted(self.pairs, centred) / len(self.pairs))

    @property
    def warning(self) -> str:
        """Why the index can hardly distinguish anything; empty if it can, or if it has too few rows to say."""
        if self.rows < _FEWEST or (self.rank >= _LEAST_RANK and 1 - self.cosine >= _LEAST_SPREAD):
            return ""
        return (
            f"the clips of this index are nearly all alike to its encoder (effective rank {self.rank:.1f}, median "
            f"cosine {self.cosine:.6f}); hits mean little: train the encoder longer, or use another"
        )

    @property
    def sentence(self) -> str:
        """The warning for a page."""
        return f"Warning: {self.warning}." if self.warning else ""
