"""The cached linear probe: logistic regression on cached features."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold
from sklearn.preprocessing import StandardScaler

GRID = (0.001, 0.01, 0.1, 1.0, 10.0)
FOLDS = 5


@dataclass(frozen=True)
class LinearProbe:
    """Outcome of a probe.

    Attributes:
        predicted: (Q,) int64.
        scores: (Q, num_classes) float64 log-probabilities; minus infinity for a class without training clips.
        c: inverse strength of the L2 penalty that was used.
        held_out: mean accuracy on held-out training subjects for each C tried; empty when C was fixed.
        notes: what a reader of the figure should know, if anything.
        weight, bias: (num_classes, D) and (num_classes,) float64; ``weight @ x + bias`` of features as they are gives
            the log-odds up to a constant, minus infinity for a class without training clips.
    """

    predicted: np.ndarray
    scores: np.ndarray
    c: float
    held_out: dict[float, float]
    notes: tuple[str, ...]
    weight: np.ndarray
    bias: np.ndarray


def linear_probe(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    *,
    num_classes: int,
    groups: np.ndarray | None = None,
    augmented_views: np.ndarray | None = None,
    c: float | None = None,
    grid: Sequence[float] = GRID,
) -> LinearProbe:
    """Multinomial logistic regression on features standardised by the training clips.

    Test clips are only ever predicted. Unless ``c`` is given, it is chosen from ``grid`` by
    cross-validation within the training clips, whole subjects held out, and the smallest of equally good
    values wins. Solved by L-BFGS; deterministic.

    Augmented views are fitted and standardised along with their clips. A clip and its views together have the weight
    of one clip, so that ``c`` keeps its meaning. In cross-validation they are fitted with their clip, and left
    out where it is held out: held-out clips are evaluated like test clips, without augmentation.

    Args:
        train_x: (N, D).
        train_y: (N,) int64, at least two classes.
        test_x: (Q, D), at least one.
        num_classes: columns of the scores.
        groups: (N,) training subject of each clip; None, or a single subject, holds out plain folds of clips.
        augmented_views: (K, N, D), of the training clips in their order; None for none.
        c: fixes C.
        grid: values tried.

    Raises:
        ValueError: fewer than two classes, or an unlabelled clip.
    """
    if train_y.min(initial=0) < 0 or len(np.unique(train_y)) < 2:
        raise ValueError("a linear probe needs labelled training clips of at least two classes")
    notes: list[str] = []
    held_out: dict[float, float] = {}
    views = (
        train_x[None] if augmented_views is None else np.concatenate([train_x[None], augmented_views])
    )  # (1 + K, N, D)
    shape, train = views.shape, views.reshape(-1, views.shape[2]).astype(np.float64)
    scaler = StandardScaler().fit(train)
    train = scaler.transform(train)
    if c is None:
        held_out, by = _cross_validate(train.astype(np.float32).reshape(shape), train_y, groups, sorted(grid))
        c = max(held_out, key=lambda value: (held_out[value], -value))
        notes.append(f"C = {c:g} by {by}")
        if len(held_out) > 1 and c in (min(held_out), max(held_out)):
            notes.append("C is at the end of its grid")
    model, converged = _fit(train, np.tile(train_y, shape[0]), c / shape[0], 1e-4)
    if not converged:
        notes.append(f"the solver stopped at {model.max_iter} iterations before it converged")
    weight, bias = _layer(model, scaler, num_classes)
    scores = log_softmax(test_x.astype(np.float64) @ weight.T + bias, axis=1)
    return LinearProbe(scores.argmax(1).astype(np.int64), scores, c, held_out, tuple(notes), weight, bias)


def _layer(model: LogisticRegression, scaler: StandardScaler, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of the linear layer that standardises and classifies."""
    coef, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn holds the second class's alone
        coef, intercept = np.concatenate([0 * coef, coef]), np.concatenate([0 * intercept, intercept])
    weight, bias = np.zeros((num_classes, coef.shape[1])), np.full(num_classes, -np.inf)
    weight[model.classes_] = coef / scaler.scale_
    bias[model.classes_] = intercept - weight[model.classes_] @ scaler.mean_
    return weight, bias


def _cross_validate(
    views: np.ndarray, y: np.ndarray, groups: np.ndarray | None, grid: Sequence[float]
) -> tuple[dict[float, float], str]:
    """Mean held-out accuracy of each C, and in words how it was held out; views (1 + K, N, D), the first is judged."""
    x = views[0]
    subjects = 0 if groups is None else len(np.unique(groups))
    if subjects >= 2:
        folds = min(FOLDS, subjects)
        cuts, by = GroupKFold(folds).split(x, y, groups), f"{folds}-fold cross-validation over training subjects"
    else:
        folds = min(FOLDS, len(x))
        cuts = KFold(folds, shuffle=True, random_state=0).split(x, y)
        by = f"{folds}-fold cross-validation over training clips, subjects unknown"
    right = dict.fromkeys(grid, 0.0)
    for fit, held in cuts:
        if len(np.unique(y[fit])) < 2:
            continue
        start, fitted, labels = None, views[:, fit].reshape(-1, x.shape[1]), np.tile(y[fit], len(views))
        for value in grid:
            start, _ = _fit(fitted, labels, value / len(views), 1e-3, start)
            right[value] += float((start.predict(x[held]) == y[held]).sum()) / len(x)
    return right, by


def _fit(
    x: np.ndarray, y: np.ndarray, c: float, tol: float, start: LogisticRegression | None = None
) -> tuple[LogisticRegression, bool]:
    """Fit one C, from the solution of another where given; and whether it converged."""
    model = start or LogisticRegression(warm_start=True, max_iter=2000, tol=tol)
    model.set_params(C=c)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # few clips, no regression
        model.fit(x, y)
    return model, not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
