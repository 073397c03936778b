"""Metrics, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_skel.evaluation.metrics import score


def test_figures_by_hand() -> None:
    truth, predicted = np.array([0, 0, 0, 1, 1, 3]), np.array([0, 0, 1, 1, 2, 3])
    found = score(truth, predicted, num_classes=4)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.per_class == (pytest.approx(2 / 3), 0.5, None, 1.0)
    assert found.confusion == ((2, 1, 0, 0), (0, 1, 1, 0), (0, 0, 0, 0), (0, 0, 0, 1))
    assert found.macro_f1 == pytest.approx((0.8 + 0.5 + 1.0) / 3)  # class 2 has no test clip
    assert found.top5 is None


def test_top5_needs_scores_and_more_than_five_classes() -> None:
    scores = np.array([[7.0, 6, 5, 4, 3, 2], [7, 6, 5, 4, 3, 2]])
    truth, predicted = np.array([4, 5]), np.array([0, 0])
    assert score(truth, predicted, 6, scores).top5 == 0.5
    assert score(truth, predicted, 6).top5 is None
    assert score(truth[:1], predicted[:1], 5, scores[:1, :5]).top5 is None


def test_top5_with_classes_that_cannot_be_predicted() -> None:
    scores = np.full((1, 7), -np.inf)
    scores[0, 2] = 0
    assert score(np.array([2]), np.array([2]), 7, scores).top5 == 1.0
