"""Splits that are folds of one cross-validation, and their means."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ssl_skel.evaluation.report import Figure, Measurement

FOLDS = "mean of folds"


def is_deduplicated(split: str) -> bool:
    """Whether the split of a figure, or the mean of folds, is deduplicated; reports of 0.1 call it clean."""
    return split.endswith(("dedup", "clean"))


def mean_of(split: str) -> str:
    """What the mean is called that a split, if it is a fold, counts towards; "" for other splits.

    >>> mean_of("fold2_dedup"), mean_of("leave_one_subject_out_fold1"), mean_of("xview")
    ('mean of folds, dedup', 'mean of folds, leave_one_subject_out', '')
    """
    fold = re.fullmatch(r"(?:(.+)_)?fold\d+(?:_dedup|_clean)?", split)
    if fold is None:
        return ""
    return f"{FOLDS}{f', {fold[1]}' if fold[1] else ''}{', dedup' if is_deduplicated(split) else ''}"


def fold_means(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Means over splits that are folds (``fold1``, ``fold2``, …; ``leave_one_subject_out_fold1``, …), and over their
    deduplicated variants separately.

    Nothing for fewer than two of them.
    """
    groups: dict[tuple[str, str, str], list[Measurement]] = {}
    for row in measurements:
        if name := mean_of(row.split):
            groups.setdefault((name, row.features, row.measure), []).append(row)
    return [
        Measurement(
            split=split,
            features=features,
            measure=measure,
            figures={
                name: Figure.of([row.figures[name].mean for row in rows], "folds")
                for name in rows[0].figures
                if all(name in row.figures for row in rows)
            },
        )
        for (split, features, measure), rows in groups.items()
        if len(rows) > 1
    ]
