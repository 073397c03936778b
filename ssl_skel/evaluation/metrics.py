"""How good predictions are."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, top_k_accuracy_score

from ssl_skel.config import Section


class Scores(Section):
    """Figures of one set of predictions; shares are between 0 and 1."""

    accuracy: float
    """Share of clips classified rightly (top-1)."""

    macro_f1: float
    """Mean F1 over the classes that have test clips."""

    top5: float | None = None
    """Share of clips whose class is among the five best scored; None without scores or with five classes or fewer."""

    per_class: tuple[float | None, ...]
    """Accuracy of each class; None where the class has no test clip."""

    confusion: tuple[tuple[int, ...], ...]
    """Clips of class (row) taken for class (column)."""


def score(truth: np.ndarray, predicted: np.ndarray, num_classes: int, scores: np.ndarray | None = None) -> Scores:
    """Measure predictions.

    Args:
        truth: (Q,) int64, at least one.
        predicted: (Q,) int64.
        num_classes: classes of the store, also those without a test clip.
        scores: (Q, num_classes), larger is likelier, minus infinity for never; needed for top-5.
    """
    table = confusion_matrix(truth, predicted, labels=range(num_classes))
    count = table.sum(1)
    top5 = None
    if scores is not None and num_classes > 5:
        top5 = float(top_k_accuracy_score(truth, np.nan_to_num(scores), k=5, labels=range(num_classes)))
    return Scores(
        accuracy=float(accuracy_score(truth, predicted)),
        macro_f1=float(f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0.0)),
        top5=top5,
        per_class=tuple(float(table[c, c] / n) if n else None for c, n in enumerate(count)),
        confusion=tuple(tuple(int(n) for n in row) for row in table),
    )
