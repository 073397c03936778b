"""Pages of clips: what a search found, what a store holds, and what a network predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.html import Scenes, card, document, gallery, grid, write_page

__all__ = ["Reconstruction", "reconstruction_page", "search_page", "store_page", "write_page"]


def search_page(
    query: RenderableClip,
    hits: Sequence[RenderableClip],
    title: str = "",
    *,
    notes: Sequence[str] = (),
    meaning: str = "",
) -> str:
    """What a search found: the query stays in sight at the left, hits come nearest first, all synchronised.

    Args:
        query: what was searched for.
        hits: what was found, nearest first; their facts should name the similarity.
        title: default: the query's name.
        notes: warnings, or why nothing was found.
        meaning: of the numbers under a hit; folded up.

    Returns:
        HTML text, for ``write_page``.
    """
    found = grid([card(at, hit, f"{at}. {hit.name}") for at, hit in enumerate(hits, 1)])
    if not hits:
        found = "<p>Nothing was found.</p>"
    found = "".join(f"<p>{escape(note)}</p>" for note in notes) + found
    if meaning and hits:
        found += f"<details><summary>What the numbers mean</summary><p>{escape(meaning)}</p></details>"
    body = (
        f'<div class="beside"><div class="query"><h2>Query</h2>{card(0, query)}</div>'
        f"<div><h2>Found</h2>{found}</div></div>"
    )
    intro = "The query, and the movements that the network finds most similar to it, the nearest first."
    return document(title or f"Movements like {query.name}", intro, body, [query, *hits])


def store_page(title: str, clips: Sequence[RenderableClip], intro: str) -> str:
    """Clips page by page, searched by name and filtered by class, subject and camera.

    Args:
        title: such as the name of the data set.
        clips: in order.
        intro: what the page shows, and what part of the whole it is.
    """
    scenes = Scenes(galleries={"clips": range(len(clips))})
    return document(title, intro, f"<h2>Clips</h2>{gallery('clips')}", clips, scenes=scenes, sync="time")


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """One clip three times.

    Attributes:
        original: as recorded.
        masked: NaN where the network was shown nothing.
        predicted: its prediction from that.
    """

    original: RenderableClip
    masked: RenderableClip
    predicted: RenderableClip


def reconstruction_page(title: str, found: Sequence[Reconstruction], note: str) -> str:
    """Recorded, masked and predicted, three in a row and synchronised.

    Args:
        title: name of the run.
        found: the rows.
        note: what is special about this network's predictions, in words.

    Returns:
        HTML text, for ``write_page``.
    """
    clips: list[RenderableClip] = []
    parts = []
    for trio in found:
        first = len(clips)
        clips += [trio.original, trio.masked, trio.predicted]
        headings = ("Recorded", "Shown to the network", "Predicted")
        cards = [
            card(first + at, clip, text, stand=first)
            for at, (clip, text) in enumerate(zip(clips[first:], headings, strict=True))
        ]
        parts.append(f"<h2>{escape(trio.original.name)}</h2>{grid(cards, 'trio')}")
    intro = (
        "The network learned to fill in what was hidden from it. Where the third body moves like the first, the "
        "network has inferred the movement from the second, which is empty where a whole moment was hidden. "
        f"{note}"
    )
    return document(f"{title}: reconstructions", intro, "".join(parts), clips)
