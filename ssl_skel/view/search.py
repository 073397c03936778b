"""What a search found, as clips side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.retrieval.search import Answer
from ssl_skel.view.draw.clips import FPS, RenderableClip, length_fact
from ssl_skel.view.draw.pages import search_page

_WORDS = {"label": "class"}  # as pages call it


def page_of_answers(
    index: MotionIndex, answers: Sequence[Answer], stores: tuple[Path, ...] = (), fps: float | None = None
) -> str:
    """Page of a query's clip next to the clips that were found.

    Args:
        index: that was searched.
        answers: one; a page shows no more.
        stores: where the index's stores may be now.
        fps: frames a second of the recordings; default: their own rate, or ``FPS``.

    Raises:
        UserError: several answers, or a store of the index no longer exists.
    """
    if len(answers) > 1:
        raise UserError(f"--page: the query holds {len(answers)} clips, a page shows one; name it with --clip")
    (answer,) = answers
    opened: dict[int, Store] = {}

    def joints(row: int, length: int | None = None) -> np.ndarray:
        number = int(index.rows["store"][row])
        if number not in opened:
            opened[number] = index.open_store(number, stores)
        return index.joints(row, opened[number], length)

    found = []
    for hit in answer.hits:
        facts = {
            _WORDS.get(name, name): fact for name, fact in hit.facts(index.windows).items() if fact and name != "clip"
        }
        facts["length"] = length_fact(hit.length, fps or hit.fps)
        found.append(RenderableClip(hit.name, joints(hit.row, hit.length), index.layout, facts, fps or hit.fps or FPS))
    query = answer.query
    own = joints(query.row) if query.joints is None else query.joints
    rate = fps or (index.fps(query.row) if query.joints is None else query.fps)
    facts = {"length": length_fact(own.shape[1], rate)}
    notes = [index.spread.sentence, "" if answer.hits else f"{answer.nothing[0].upper()}{answer.nothing[1:]}."]
    clip = RenderableClip(query.name, own, index.layout, facts, rate or FPS)
    return search_page(clip, found, notes=[*filter(None, notes)], meaning=_meaning(index))


def _meaning(index: MotionIndex) -> str:
    """Explains the numbers under a hit."""
    return (
        "Similarity is the cosine of two vectors. Centred, it is 0 for two clips with no more in common than any "
        f"two, and 1 for the same; 95 % of the clips of this index have another at {index.spread.usual:.2f} or above. "
        "The percentile is the share of pairs of clips that are less similar."
    )
