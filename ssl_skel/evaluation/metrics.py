"""How good predictions are."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, top_k_accuracy_score

from ssl_skel.evaluation.scores import Scores


def score(truth: np.ndarray, predicted: np.ndarray, num_classes: int, scores: np.ndarray | None = None) -> Scores:
    """Measure predictions.

    Args:
        truth: (Q,) int64, at least one.
        predicted: (Q,) int64.
        num_classes: classes of the store, also those without a test clip.
        scores: (Q, num_classes) logits or log-probabilities, minus infinity for never; needed for top-5 and
            calibration.
    """
    table = confusion_matrix(truth, predicted, labels=range(num_classes))
    count = table.sum(1)
    top5 = None
    if scores is not None and num_classes > 5:
        top5 = float(top_k_accuracy_score(truth, np.nan_to_num(scores), k=5, labels=range(num_classes)))
    accuracy = float(accuracy_score(truth, predicted))
    return Scores(
        accuracy=accuracy,
        macro_f1=float(f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0.0)),
        top5=top5,
        ece=None if scores is None else calibration_error(truth, scores),
        interval=bootstrap_interval(accuracy, len(truth)),
        per_class=tuple(float(table[c, c] / n) if n else None for c, n in enumerate(count)),
        confusion=tuple(tuple(int(n) for n in row) for row in table),
    )


def calibration_error(truth: np.ndarray, scores: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error with bins of equal width (Guo et al., ICML 2017: 15).

    Args:
        truth: (Q,) int64, at least one.
        scores: (Q, num_classes) logits or log-probabilities; softmax turns them into confidences.
        bins: a confidence on an edge belongs to the bin below.
    """
    probability = softmax(scores, axis=1)
    confidence, right = probability.max(1), probability.argmax(1) == truth
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(number, confidence, bins) - np.bincount(number, right, bins)
    return float(np.abs(gap).sum() / len(truth))


def bootstrap_interval(accuracy: float, clips: int, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of an accuracy over test clips.

    Resampled with replacement, the number of right clips follows a binomial distribution; its quantiles are what
    infinitely many resamples would give, so nothing is drawn.
    """
    from scipy.stats import binom  # slow to import

    low, high = binom.ppf([(1 - level) / 2, (1 + level) / 2], clips, accuracy) / clips
    return float(low), float(high)
