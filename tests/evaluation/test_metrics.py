"""Metrics, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_skel.evaluation.metrics import bootstrap_interval, calibration_error, score


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


def test_calibration_by_a_loop() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(200, 4)) * 2, rng.integers(0, 4, 200)
    scores[:10, 1] = -np.inf
    by_bin: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(scores, truth, strict=True):
        probability = np.exp(row) / np.exp(row).sum()
        number = next(b for b in range(15) if probability.max() <= (b + 1) / 15 + 1e-12)
        by_bin.setdefault(number, []).append((probability.max(), probability.argmax() == label))
    expected = sum(
        len(clips) / 200 * abs(np.mean([c for c, _ in clips]) - np.mean([r for _, r in clips]))
        for clips in by_bin.values()
    )
    assert calibration_error(truth, scores) == pytest.approx(expected)
    assert score(truth, scores.argmax(1), 4, scores).ece == pytest.approx(expected)
    assert score(truth, scores.argmax(1), 4).ece is None


def test_sure_and_right_is_calibrated_sure_and_wrong_is_not() -> None:
    scores = np.array([[50.0, 0.0], [0.0, 50.0]])
    assert calibration_error(np.array([0, 1]), scores) == pytest.approx(0)
    assert calibration_error(np.array([1, 0]), scores) == pytest.approx(1)


def test_the_interval_is_that_of_resampling() -> None:
    rng = np.random.default_rng(0)
    right = np.arange(464) < 350
    drawn = rng.choice(right, (20000, 464)).mean(1)
    assert bootstrap_interval(350 / 464, 464) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.003)
    assert bootstrap_interval(1.0, 9) == (1.0, 1.0)
