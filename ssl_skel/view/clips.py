"""Clips of a store, ready to be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ssl_skel.data.store import Store
from ssl_skel.names import unknown
from ssl_skel.view.draw.clips import FPS, RenderableClip, length_fact
from ssl_skel.view.draw.pages import store_page

COUNT = 1000
"""Clips that the page of a store shows; more would make it heavy, or leave few frames of each."""


def shown(store: Store, row: int, facts: Mapping[str, str] | None = None, fps: float | None = None) -> RenderableClip:
    """A clip of a store.

    Args:
        store: holds it.
        row: its number.
        facts: put before those of the store.
        fps: frames a second; default: the clip's rate in the store, or ``FPS``.
    """
    known = dict(facts or {})
    if store.label[row] >= 0 and store.class_names:
        known["class"] = store.class_names[store.label[row]]
    numbers = {column: int(getattr(store, column)[row]) for column in ("subject", "camera")}
    known |= {column: store.called(column, number) for column, number in numbers.items() if number >= 0}
    known["length"] = length_fact(int(store.frames[row]), fps or float(store.fps[row]))
    return RenderableClip(str(store.name[row]), store.clip(row), store.layout, known, fps or rate_of(store, row))


def rate_of(store: Store, row: int) -> float:
    """Frames a second at which a clip plays: its own, or ``FPS`` where they are unknown."""
    return float(store.fps[row]) or FPS


def find_row(store: Store, name: str) -> int:
    """Row of a clip.

    Raises:
        UserError: no clip has that name.
    """
    found = np.flatnonzero(store.name == name)
    if not found.size:
        raise unknown("clip", name, store.name, where=store.path)
    return int(found[0])


def spread(store: Store, count: int) -> np.ndarray:
    """Rows of about ``count`` clips: as many of each class, evenly through its clips, at least one."""
    groups = [np.flatnonzero(store.label == label) for label in np.unique(store.label)]
    each = max(1, count // len(groups))
    chosen = [group[np.linspace(0, len(group) - 1, min(each, len(group))).round().astype(int)] for group in groups]
    return np.concatenate(chosen)


def page_of_store(store: Store, names: Sequence[str] = (), count: int = COUNT, fps: float | None = None) -> str:
    """Page of a store's clips.

    Args:
        store: what to show.
        names: only these clips; default: all, or a choice from all classes.
        count: about how many clips are chosen.
        fps: frames a second; default: see ``shown``.

    Raises:
        UserError: no clip has one of the names.
    """
    rows = np.array([find_row(store, name) for name in names]) if names else spread(store, count)
    clips = [shown(store, int(row), fps=fps) for row in rows]
    return store_page(store.path.name, clips, f"{len(rows):,} of {len(store):,} recorded movements.")
