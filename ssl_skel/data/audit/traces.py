"""One pass over the clips of a store, and what it leaves to compare them by."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import numpy as np

from ssl_skel.data.audit.clips import KINDS, Anatomy, inspect_clip
from ssl_skel.data.audit.duplicates import Signatures, joints_hash, signature
from ssl_skel.data.audit.limits import Limits
from ssl_skel.data.audit.overlaps import Poses, pose_hashes
from ssl_skel.data.in_turn import clips_in_turn
from ssl_skel.data.store import Store
from ssl_skel.progress import progress as show_progress

_FAR = 1e6  # coordinates beyond are cut to it, so that squares stay finite


class Traces:
    """What a pass leaves; signatures and poses are kept in files that vanish at the end of the ``with`` block.

    Attributes:
        findings: kind -> clips with value and place, worst first.
        rows: kind -> those of these clips, ascending.
        hashes: (N,) of the stored joints.
        signatures: in metres, by number of persons, in the order of the rows.
        poses: of all clips.
    """

    def __init__(self, store: Store) -> None:
        self.findings: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        self.rows: dict[str, list[int]] = {kind: [] for kind in KINDS}
        self.hashes = np.zeros(len(store), np.uint64)
        self.signatures = {int(persons): Signatures() for persons in np.unique(store.persons)}
        self.poses = Poses()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.poses)
        for signatures in self.signatures.values():
            self._stack.enter_context(signatures)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, store: Store, anatomy: Anatomy, limits: Limits, progress: bool) -> None:
        """Go through all clips."""
        coordinates = store.layout.coordinates(store.channels)
        bar = show_progress(clips_in_turn(store), "audit", total=len(store), unit="clip", hidden=not progress)
        for row, clip in enumerate(bar):
            joints = np.clip(clip[..., :coordinates], -_FAR, _FAR)
            for finding in inspect_clip(joints, anatomy, limits):
                item = {"clip": str(store.name[row]), "value": round(finding.value, 4), "where": finding.where}
                self.findings[finding.kind].append(item)
                self.rows[finding.kind].append(row)
            self.hashes[row] = joints_hash(joints)
            self.poses.add(pose_hashes(joints))
            self.signatures[len(joints)].add(signature(joints, store.layout, limits.near_view) * anatomy.metres)
        for items in self.findings.values():
            items.sort(key=lambda item: -abs(item["value"]))
