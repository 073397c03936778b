"""Test clips that training or pretraining has seen."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def leaks(
    names: np.ndarray,
    content: np.ndarray,
    *,
    train: np.ndarray,
    test: np.ndarray,
    seen_names: Iterable[str] = (),
    seen_content: Iterable[int] = (),
    seen_how: str = "in pretraining, without labels",
) -> tuple[str, ...]:
    """Warnings for test clips that were trained or pretrained on.

    Args:
        names, content: of all clips of the store.
        train, test: rows of the split.
        seen_names, seen_content: clips that the encoder was trained on before.
        seen_how: in what.
    """
    found = []
    copies = int(np.isin(content[test], content[train]).sum())
    if copies:
        found.append(f"{copies} of {len(test)} test clips are copies of training clips, coordinate for coordinate")
    by_content = np.isin(content[test], np.fromiter(seen_content, np.uint64))
    by_name = np.isin(names[test], np.array(list(seen_names), np.str_))
    seen = int((by_content | by_name).sum())
    if seen:
        found.append(f"{seen} of {len(test)} test clips were seen {seen_how} (same content or name)")
    return tuple(found)
