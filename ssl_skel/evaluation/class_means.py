"""Classification by the nearest class mean."""

from __future__ import annotations

import numpy as np

from ssl_skel.evaluation.knn import knn_predict, unit


def class_mean_predict(train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray) -> np.ndarray:
    """The class whose mean of unit vectors has the largest cosine with a test vector.

    Mensink et al., TPAMI 2013, with the cosine for their learned metric; the cosine prototypes of few-shot learning.

    Args:
        train_x: (N, D).
        train_y: (N,) int64, 0 and up.
        test_x: (Q, D).

    Returns:
        (Q,) int64; of equal classes the first.

    Raises:
        ValueError: no training vector, an unlabelled one, or shapes that do not fit.
    """
    vectors, classes = unit(train_x), np.unique(train_y)
    means = np.array([vectors[train_y == label].mean(0) for label in classes]).reshape(len(classes), -1)
    return knn_predict(means, classes, test_x, (1,))[1]
