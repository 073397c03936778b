"""The estimate of a classifier: cross-validation over people, and the confidence that an answer should have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from sklearn.model_selection import GroupKFold

from finetune.classifiers.typical import Typical, confidence
from ssl_skel.data.audit.groups import equal_groups
from ssl_skel.data.same_recording import recording_groups
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.evaluation.estimate import Estimate
from ssl_skel.evaluation.linear import linear_probe
from ssl_skel.progress import progress

FOLDS = 10
"""Largest number of folds; fewer people get one fold each."""
UNSEEN = 10
"""Largest number of classes, evenly spaced, that are left out to see how often their clips are refused."""


def groups_of(store: Store, rows: np.ndarray) -> tuple[np.ndarray, Literal["people", "recordings"]]:
    """(n,) number of the person of each clip, or of its recording, and which of the two it is.

    Recordings take the place of people where those of some clips are unknown, or all clips are of one person. Clips of
    one recording stay together.

    Raises:
        UserError: all clips are of one recording.
    """
    people, recordings = store.subject[rows], recording_groups(store)[rows]
    by: Literal["people", "recordings"] = "people"
    groups = equal_groups(people, recordings)
    if (people < 0).any() or len(np.unique(groups)) < 2:
        groups, by = recordings, "recordings"
    if len(np.unique(groups)) < 2:
        raise UserError(f"{store.path}: all labelled clips are of one recording; add recordings to learn from")
    return groups, by


def estimate(
    features: np.ndarray,
    label: np.ndarray,
    groups: np.ndarray,
    by: Literal["people", "recordings"],
    class_names: Sequence[str],
    *,
    c: float,
    keep: float,
) -> Estimate:
    """What to expect of a linear probe that is trained on all of these clips.

    Each fold chooses its own C within its training clips, as the final probe does.

    Args:
        features: (n, D).
        label: (n,) int64, none unknown.
        groups: (n,) what stays together.
        by: what the groups are.
        class_names: of the labels.
        c: of the final probe, used where classes are left out.
        keep: share of right answers that the threshold must leave.
    """
    count = len(np.unique(groups))
    folds = list(GroupKFold(min(FOLDS, count)).split(features, label, groups))
    probability, cosines = np.zeros((2, len(label), len(class_names)))
    for train, held in progress(folds, f"held-out {by}", unit="fold", leave=False):
        answers = _answers(features, label, train, held, len(class_names), groups=groups[train])
        probability[held], cosines[held] = answers
    right, sure = probability.argmax(1) == label, confidence(probability, cosines)
    threshold = _threshold(sure[right], keep)
    return Estimate(
        clips=len(label),
        held_out=by,
        groups=count,
        folds=len(folds),
        accuracy=float(right.mean()),
        lowest=min(_shares(right, groups).values()),
        per_class={class_names[at]: share for at, share in _shares(right, label).items()},
        threshold=threshold,
        kept=float((sure[right] >= threshold).mean()) if right.any() else 0.0,
        refused_wrong=None if right.all() else float((sure[~right] < threshold).mean()),
        refused_unseen=_refused_unseen(features, label, probability, cosines, c, keep),
    )


def _answers(
    features: np.ndarray,
    label: np.ndarray,
    train: np.ndarray,
    held: np.ndarray,
    num_classes: int,
    *,
    groups: np.ndarray | None = None,
    c: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and cosines, (held, classes) each, of a probe trained on some clips; 0 if those are of one
    class.
    """
    if len(np.unique(label[train])) < 2:
        return np.zeros((len(held), num_classes)), np.zeros((len(held), num_classes))
    probe = linear_probe(features[train], label[train], features[held], num_classes=num_classes, groups=groups, c=c)
    return np.exp(probe.scores), Typical.of(features[train], label[train], num_classes).cosines(features[held])


def _shares(right: np.ndarray, groups: np.ndarray) -> Mapping[int, float]:
    """Share of right answers in each group."""
    return {int(group): float(right[groups == group].mean()) for group in np.unique(groups)}


def _threshold(sure: np.ndarray, keep: float) -> float:
    """The highest confidence below which at most 1 - keep of the right answers are; 0 where none is right."""
    return float(np.quantile(sure, 1 - keep, method="lower")) if len(sure) else 0.0


def _refused_unseen(
    features: np.ndarray, label: np.ndarray, probability: np.ndarray, cosines: np.ndarray, c: float, keep: float
) -> float | None:
    """Mean over left-out classes of the share of their clips that a probe of the other classes refuses.

    Fewer classes make higher probabilities, so each such probe has a threshold of its own. It is found on the held-out
    probabilities (n, classes) of the other classes' clips, without the class that is left out.
    """
    present = np.unique(label)
    if len(present) < 3:
        return None
    chosen = present[np.unique(np.linspace(0, len(present) - 1, min(UNSEEN, len(present))).round().astype(int))]
    shares = []
    for left_out in progress(chosen, "classes left out", unit="class", leave=False):
        held, train = np.flatnonzero(label == left_out), np.flatnonzero(label != left_out)
        others = probability[train]
        others[:, left_out] = 0
        others /= others.sum(1, keepdims=True).clip(1e-12)
        right = others.argmax(1) == label[train]
        threshold = _threshold(confidence(others, cosines[train])[right], keep)
        answers = _answers(features, label, train, held, probability.shape[1], c=c)
        shares.append(float((confidence(*answers) < threshold).mean()))
    return float(np.mean(shares))
