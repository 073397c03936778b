"""What an audit found in a store, as a page that plays it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ssl_skel.data.audit.clips import KINDS
from ssl_skel.data.audit.inspection import Audit
from ssl_skel.data.audit.report import SPLIT_COLUMNS, groups_of_clips, notes, overview, split_rows
from ssl_skel.data.store import Store
from ssl_skel.view.clips import shown
from ssl_skel.view.draw.audit_page import Found, audit_page
from ssl_skel.view.draw.clips import RenderableClip

_CLIPS = 6  # of a kind
_GROUPS = 6  # of a kind
_TOGETHER = 3  # clips of a group
_AROUND = 1.0  # seconds before and after the frame of a finding


def page_of_audit(store: Store, found: Audit) -> str:
    """Page of an audit, at most 2 MB.

    Args:
        store: that was audited.
        found: the result.
    """
    rows = {str(name): row for row, name in enumerate(store.name)}
    damage = [
        Found(kind, KINDS[kind].sentence, len(items), [[_finding(store, rows, kind, item)] for item in items[:_CLIPS]])
        for kind, items in found.findings.items()
    ]
    alike = [
        Found(
            title,
            _sentence(meaning),
            len(groups),
            [[_clip(store, rows[name]) for name in names[:_TOGETHER]] for names, _ in groups[:_GROUPS]],
            [f"{len(names)} clips, {how}" for names, how in groups[:_GROUPS]],
        )
        for title, meaning, groups in groups_of_clips(found)
        if groups
    ]
    splits = (SPLIT_COLUMNS, split_rows(found))
    return audit_page(
        found.store["name"], (("what", "value"), overview(found)), splits, list(notes(found)), damage, alike
    )


def _clip(store: Store, row: int, facts: Mapping[str, str] | None = None) -> RenderableClip:
    """A clip at its own rate, where that is known."""
    fps = float(store.fps[row])
    return shown(store, row, facts, fps) if fps else shown(store, row, facts)


def _finding(store: Store, rows: Mapping[str, int], kind: str, item: Mapping[str, Any]) -> RenderableClip:
    """The clip of a finding, about its frame where it names one."""
    unit = KINDS[kind].unit
    facts = ({unit: f"{item['value']:g}"} if unit else {}) | ({"where": item["where"]} if item["where"] else {})
    clip = _clip(store, rows[item["clip"]], facts)
    frame = re.search(r"frame (\d+)", item["where"])
    if frame is None:
        return clip
    reach = round(_AROUND * clip.fps)
    first, last = max(0, int(frame[1]) - reach), min(clip.joints.shape[1], int(frame[1]) + reach + 1)
    facts = {**clip.facts, "frames shown": f"{first} to {last - 1} of {clip.joints.shape[1]}"}
    return replace(clip, joints=clip.joints[:, first:last], facts=facts)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
