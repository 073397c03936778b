"""What is on both sides of a split: duplicates, which leak from training into the test, and subjects."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssl_skel.data.performances import performance_of
from ssl_skel.data.split_form import split_without_suffix
from ssl_skel.data.splits import Split
from ssl_skel.data.store import Store


def leakage(store: Store, split: Split, copies: np.ndarray, near: np.ndarray, shared: np.ndarray) -> dict[str, Any]:
    """Facts about one split.

    Args:
        store: the clips.
        split: rows that train and test.
        copies: (N,) group of copies of each clip.
        near: (N,) group of copies and near duplicates of each clip.
        shared: (n, 2) rows of clips that share frames.

    Returns:
        train, test: clips on each side; copies, near, overlaps: names of test clips that are also in training, exactly,
            nearly, or with some of their frames, each clip named once; subjects, performances: how many are on
        both sides (a performance: ``ssl_skel.data.performances``);
        unseen_classes: names of classes that occur in the test only; notes: which of these make the split's figures
            wrong, in words.
    """
    copied = np.isin(copies[split.test], copies[split.train])
    nearly = np.isin(near[split.test], near[split.train]) & ~copied
    cut = np.isin(split.test, _partners(shared, split.train)) & ~copied & ~nearly
    subjects = _shared(store.subject[:, None], split)
    performed = performance_of(store)
    performances = _shared(np.where((performed[:, [0, 1, 3]] < 0).any(1, keepdims=True), -1, performed), split)
    unseen = np.setdiff1d(store.label[split.test], store.label[split.train])
    notes = []
    for rows, what in (
        (copied, "are copies of training clips"),
        (nearly, "are near duplicates of training clips"),
        (cut, "share frames with training clips"),
    ):
        if rows.any():
            share = 100 * rows.sum() / len(split.test)
            notes.append(f"{int(rows.sum()):,} of {len(split.test):,} test clips ({share:.1f} %) {what}")
    sides = store.splits.get(split_without_suffix(split.name), {})
    by_subject = any("subject" in sides.get(side, {}) for side in ("train", "test"))
    if by_subject and subjects:
        notes.append(f"subjects on both sides of a split by subject: {', '.join(map(str, subjects))}")
    if (unseen >= 0).any():
        notes.append(f"classes that are tested but never trained: {', '.join(_names(store, unseen))}")
    return {
        "train": len(split.train),
        "test": len(split.test),
        "copies": store.name[split.test[copied]].tolist(),
        "near": store.name[split.test[nearly]].tolist(),
        "overlaps": store.name[split.test[cut]].tolist(),
        "subjects": len(subjects),
        "performances": len(performances),
        "unseen_classes": _names(store, unseen),
        "notes": notes,
    }


def _partners(pairs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows that are in a pair with one of the given rows."""
    return np.concatenate([pairs[np.isin(pairs[:, a], rows), b] for a, b in ((0, 1), (1, 0))])


def _shared(keys: np.ndarray, split: Split) -> list[Any]:
    """Rows of keys (N, k) that are in train and in test; one that starts with -1 is unknown and does not count."""
    train, test = ({tuple(row) for row in keys[side].tolist() if row[0] >= 0} for side in (split.train, split.test))
    return sorted(key[0] if len(key) == 1 else key for key in train & test)


def _names(store: Store, labels: np.ndarray) -> list[str]:
    return [store.class_names[label] for label in labels if label >= 0]
