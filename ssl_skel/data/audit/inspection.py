"""Goes through a store once, clip by clip, and gathers what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel import __version__
from ssl_skel.data.audit.clips import KINDS, Anatomy, mean_bone, unit_length
from ssl_skel.data.audit.counts import balance, compare_counts
from ssl_skel.data.audit.duplicates import FRAMES, Signatures, near_pairs
from ssl_skel.data.audit.groups import equal_groups, join, keepers, members
from ssl_skel.data.audit.leakage import leakage
from ssl_skel.data.audit.limits import Limits
from ssl_skel.data.audit.traces import Traces
from ssl_skel.data.derived_splits import offered
from ssl_skel.data.dropped import report
from ssl_skel.data.normalize import NormalizeConfig, record
from ssl_skel.data.plausibility import implausible
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError

_HALF = 0.5  # of the poses of the shorter clip: as good as a copy
_TELL_UNIT = 500  # clips whose bones are measured where the store does not count in metres

EXCLUDED = {
    "copy": "the same recording as a clip that stays",
    "near_copy": "nearly the same motion as a clip that stays",
    "overlap": "half of its frames, or of the other's, are in a clip that stays",
    "one_frame": KINDS["one_frame"].meaning,
    "still": KINDS["still"].meaning,
}
"""Why a clip is proposed for exclusion. Other findings are for people to judge: papers' figures include such clips."""


@dataclass(frozen=True)
class Audit:
    """The result of an audit; plain data, ready for JSON.

    Attributes:
        store: path, format, layout, sha256, normalisation, how many joint positions conversion filled, and what it
            left out or made up.
        limits: thresholds, as in ``Limits``.
        counts: as ``compare_counts``.
        balance: as ``balance``.
        findings: kind -> clips with value and place, worst first.
        copies, near: groups of clip names; in ``near`` with the largest distance of a pair, metres.
        overlaps: pairs of clips that share frames, and the share, most first.
        conflicts: names of clips in one group, or of such a pair, whose labels differ.
        splits: name -> as ``leakage``, or ``error``.
        notices: what is unlike people in most clips, see ``ssl_skel.data.plausibility``.
        derived_splits: as ``offered`` says.
        exclude: reason (of ``EXCLUDED``) -> names.
    """

    store: dict[str, Any]
    limits: dict[str, Any]
    counts: dict[str, Any]
    balance: dict[str, Any]
    findings: dict[str, list[dict[str, Any]]]
    copies: list[list[str]]
    near: list[dict[str, Any]]
    overlaps: list[dict[str, Any]]
    conflicts: list[list[str]]
    splits: dict[str, dict[str, Any]]
    notices: list[str]
    derived_splits: dict[str, str]
    exclude: dict[str, list[str]]

    def to_dict(self) -> dict[str, Any]:
        """For ``audit.json``."""
        return {"tool": f"ssl-skel {__version__}", **asdict(self)}


def audit(path: Path | str, protocol: str = "", limits: Limits | None = None, *, progress: bool = True) -> Audit:
    """Audit a store; nothing in it is changed.

    Memory hardly grows with the number of clips: what they are compared by is kept in temporary files, 0.2 kB per joint
    of each person in a clip and 32 bytes per pose.

    Args:
        path: folder of the store.
        protocol: a split. Only it is checked for leakage, and of duplicates the training clip stays; default:
            all splits of the store, and the earliest clip stays.
        limits: thresholds.
        progress: show a bar.

    Raises:
        UserError: no store, or no such split.
    """
    limits = limits or Limits()
    store = Store.open(path)
    names = [protocol] if protocol else list(store.splits)
    order = np.arange(len(store))
    if protocol:
        rows = load_split(store, protocol)
        order = np.concatenate([rows.train, np.setdiff1d(order, rows.train)])
    anatomy = _anatomy(store)
    with Traces(store) as traces:
        traces.read(store, anatomy, limits, progress)
        alike = _compare(store, traces, order, limits)
    findings = {kind: items for kind, items in traces.findings.items() if items}
    groups = [*members(alike.near), *alike.shared]
    return Audit(
        store=_facts(store, anatomy),
        limits=limits.model_dump(mode="json"),
        counts=compare_counts(store),
        balance=balance(store, limits),
        findings=findings,
        copies=[store.name[rows].tolist() for rows in members(alike.copies)],
        near=_near_groups(store, alike),
        overlaps=[
            {"clips": store.name[rows].tolist(), "share": round(float(part), 3)}
            for rows, part in zip(alike.shared, alike.share, strict=True)
        ],
        conflicts=[store.name[rows].tolist() for rows in groups if len(set(store.label[rows].tolist())) > 1],
        splits={name: _split(store, name, alike, strict=bool(protocol)) for name in names},
        notices=[notice.message for notice in implausible(store)],
        derived_splits=offered(store),
        exclude=_exclusions(store, alike, traces.rows, order),
    )


@dataclass(frozen=True, eq=False)
class _Alike:
    """Which clips are alike.

    Attributes:
        copies, near: (N,) group of each clip, of copies, and of copies and near duplicates.
        first, kept: (N,) bool, the clip of each such group that stays.
        pairs, distance: (n, 2) rows of near duplicates, and (n,) metres between them.
        shared, share: (n, 2) rows of clips that share frames, and (n,) the share.
    """

    copies: np.ndarray
    near: np.ndarray
    first: np.ndarray
    kept: np.ndarray
    pairs: np.ndarray
    distance: np.ndarray
    shared: np.ndarray
    share: np.ndarray


def _compare(store: Store, traces: Traces, order: np.ndarray, limits: Limits) -> _Alike:
    copies = equal_groups(store.content, traces.hashes)
    first = keepers(copies, order)
    pairs, distance = _near(store, traces.signatures, first, limits.near)
    near = join(copies, pairs)
    kept = keepers(near, order)
    shared, share = traces.poses.shared(limits.overlap, kept)
    return _Alike(copies, near, first, kept, pairs, distance, shared, share)


def _exclusions(store: Store, alike: _Alike, found: dict[str, list[int]], order: np.ndarray) -> dict[str, list[str]]:
    """Reason -> names of clips."""
    reasons: dict[str, np.ndarray] = {
        "copy": ~alike.first,
        "near_copy": alike.first & ~alike.kept,
        "overlap": _later(alike.shared[alike.share >= _HALF], order),
    }
    rows = {reason: np.flatnonzero(chosen) for reason, chosen in reasons.items()}
    rows |= {kind: np.array(found[kind], np.int64) for kind in ("one_frame", "still")}
    return {reason: store.name[chosen].tolist() for reason, chosen in rows.items() if len(chosen)}


def _anatomy(store: Store) -> Anatomy:
    normalization = store.normalization or NormalizeConfig()
    metres, coordinates = 1.0, store.layout.coordinates(store.channels)
    if normalization.units != "metres" or coordinates != 3:
        rows = range(0, len(store), max(1, len(store) // _TELL_UNIT))
        metres = unit_length(np.array([mean_bone(store.clip(row)[..., :coordinates], store.layout) for row in rows]))
    frame_centred, half = normalization.centre == "frame", store.joints.dtype == np.float16
    return Anatomy(store.layout, coordinates, metres, frame_centred=frame_centred, half=half)


def _near(
    store: Store, signatures: dict[int, Signatures], first: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (n, 2) of rows that are near duplicates, among the first clip of each group of copies; and distances (n,).

    Clips that do not move have one motion in common, none, so they are compared like all others: by pose.
    """
    pairs, distances = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for persons, block in signatures.items():
        rows = np.flatnonzero(store.persons == persons)
        chosen = np.flatnonzero(first[rows])
        found, distance = near_pairs(block, limit, persons * FRAMES * store.layout.num_joints, chosen)
        pairs.append(rows[found])
        distances.append(distance)
    return np.concatenate(pairs), np.concatenate(distances)


def _later(pairs: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(N,) bool: of each pair the clip that comes later in the order, unless the other has to go already."""
    rank = np.argsort(order)
    out = np.zeros(len(order), bool)
    for a, b in sorted(pairs.tolist(), key=lambda pair: sorted(rank[pair])):
        early, late = (a, b) if rank[a] < rank[b] else (b, a)
        out[late] |= not out[early]
    return out


def _near_groups(store: Store, alike: _Alike) -> list[dict[str, Any]]:
    """Groups that hold near duplicates, not copies alone."""
    largest: dict[int, float] = {}
    for group, apart in zip(alike.near[alike.pairs[:, 0]].tolist(), alike.distance.tolist(), strict=True):
        largest[group] = max(largest.get(group, 0.0), apart)
    return [
        {"clips": store.name[rows].tolist(), "distance": round(largest[int(alike.near[rows[0]])], 5)}
        for rows in members(alike.near)
        if int(alike.near[rows[0]]) in largest
    ]


def _split(store: Store, name: str, alike: _Alike, *, strict: bool) -> dict[str, Any]:
    try:
        return leakage(store, load_split(store, name), alike.copies, alike.near, alike.shared)
    except UserError as error:  # a split that does not fit the clips is a finding, unless it was requested
        if strict:
            raise
        return {"error": str(error).removeprefix(f"{store.path}: ")}


def _facts(store: Store, anatomy: Anatomy) -> dict[str, Any]:
    return {
        "name": store.path.resolve().name,
        "format": store.provenance.format,
        "layout": store.layout.name,
        "sha256": store.sha256,
        "normalization": record(store.normalization, store.filled),
        "metres_in_a_unit": anatomy.metres,
        "filled": store.filled,
        "joint_positions": int((store.persons * store.frames).sum()) * store.layout.num_joints,
        "left_out": {"damaged": len(store.provenance.skipped), "on request": len(store.provenance.excluded)},
        "dropped": report(store.provenance.dropped, store.provenance.options),
    }
