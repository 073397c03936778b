"""The page of an audit: each finding plays its clip, and clips that are alike are side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.html import card, document, grid
from ssl_skel.view.draw.tables import table

_BUDGET = 1_300_000  # bytes of coordinates; a page stays below 2 MB

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Header and rows."""


@dataclass(frozen=True, eq=False)
class Found:
    """Findings of one kind.

    Attributes:
        title: the kind.
        meaning: what it is, in words.
        total: how many there are.
        rows: those that are shown, worst first; a row is one clip, or the clips that are alike.
        remarks: one per row, written above it; none for single clips.
    """

    title: str
    meaning: str
    total: int
    rows: Sequence[Sequence[RenderableClip]]
    remarks: Sequence[str] = ()


def audit_page(
    title: str, overview: Table, splits: Table, notes: Sequence[str], damage: Sequence[Found], alike: Sequence[Found]
) -> str:
    """What an audit found, to look at.

    Args:
        title: name of the store.
        overview: of the store.
        splits: what is on both sides of each.
        notes: what everybody should see.
        damage: clip by clip.
        alike: copies, near duplicates and clips that share frames.

    Returns:
        HTML text, for ``write_page``.
    """
    clips: list[RenderableClip] = []
    body = [f"<p><strong>Note:</strong> {escape(note)}.</p>" for note in notes]
    body += ["<h2>The store</h2>", table(*overview)]
    body += ["<h2>Splits</h2>", table(*splits)] if splits[1] else []
    body += ["<h2>Findings, clip by clip</h2>", *(_section(found, clips) for found in damage)]
    body += [] if damage else ["<p>None.</p>"]
    body += ["<h2>Clips that are alike</h2>", *(_section(found, clips) for found in alike)]
    body += [] if alike else ["<p>None.</p>"]
    intro = (
        "What the audit found in these recordings, worst first. Findings are guesses by rules, for you to judge: play "
        "the clips. Where a finding names a frame, the second before and after it is shown."
    )
    return document(f"Audit of {title}", intro, "\n".join(body), clips, sync="time", budget=_BUDGET)


def _section(found: Found, clips: list[RenderableClip]) -> str:
    """One kind; its clips are added to those of the page."""
    shown = f"{len(found.rows)} of {found.total:,}" if len(found.rows) < found.total else f"{found.total:,}"
    parts = [f"<h3>{escape(found.title)}: {shown}</h3><p>{escape(found.meaning)}</p>"]
    cards = []
    for row in found.rows:
        cards.append([card(len(clips) + at, clip) for at, clip in enumerate(row)])
        clips += row
    if found.remarks:
        for remark, pair in zip(found.remarks, cards, strict=True):
            parts += [f"<p>{escape(remark)}</p>", grid(pair)]
    else:
        parts.append(grid([one for row in cards for one in row]))
    return "".join(parts)
