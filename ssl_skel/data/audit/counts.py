"""How many there should be: published counts, and the balance of classes and subjects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ssl_skel.data.audit.limits import Limits
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError


@dataclass(frozen=True)
class Published:
    """What is known of a data set.

    Attributes:
        formats: of ``READERS``; a store of another format is taken for the set only by ``classes`` and ``joints``.
        source: who says so.
        counts: clips, frames, classes, subjects, cameras, most persons in a clip; those that are known.
        splits: clips that train and test.
        joints: V.
    """

    formats: tuple[str, ...]
    source: str
    counts: dict[str, int]
    splits: dict[str, tuple[int, int]]
    joints: int = 20


_NTU_FILES = ("ntu", "ctrgcn", "pyskl", "npz")

PUBLISHED: dict[str, Published] = {
    "NW-UCLA": Published(
        ("nw-ucla",),
        "Wang et al., CVPR 2014; the public skeleton files (all_sqe), counted, and CTR-GCN's lists of them",
        {"clips": 1484, "frames": 58534, "classes": 10, "subjects": 10, "cameras": 3, "persons": 1},
        {"xview": (1020, 464)},
    ),
    "UTD-MHAD": Published(
        ("utd-mhad",),
        "Chen et al., ICIP 2015: 861 sequences; odd subjects train",
        {"clips": 861, "classes": 27, "subjects": 8, "persons": 1},
        {"xsub": (431, 430)},
    ),
    "SBU": Published(
        ("sbu",),
        "Yun et al., CVPRW 2012, and the public files: 282 clips of 21 pairs in five folds",
        {"clips": 282, "classes": 8, "persons": 2},
        {f"fold{fold}": (282 - size, size) for fold, size in enumerate((55, 52, 56, 54, 65), 1)},
        joints=15,
    ),
    "NTU RGB+D 60": Published(
        _NTU_FILES,
        "Shahroudy et al., CVPR 2016; 56,880 files less the 302 without a skeleton",
        {"clips": 56578, "classes": 60, "subjects": 40, "cameras": 3, "persons": 2},
        {"xsub": (40091, 16487), "xview": (37646, 18932)},
        joints=25,
    ),
    "NTU RGB+D 120": Published(
        _NTU_FILES,
        "Liu et al., TPAMI 2020; 114,480 files less the 535 without a skeleton",
        {"clips": 113945, "classes": 120, "subjects": 106, "cameras": 3, "persons": 2},
        {"xsub": (63026, 50919), "xset": (54468, 59477)},
        joints=25,
    ),
}


def find_published(store: Store) -> str | None:
    """The data set that a store was made from, by format, classes and joints; None where it is not a known one."""
    form = store.provenance.format
    for name, known in PUBLISHED.items():
        if (
            form in known.formats
            and store.layout.num_joints == known.joints
            and store.num_classes == known.counts["classes"]
        ):
            return name
    return None


def count(store: Store) -> dict[str, int]:
    """Clips, frames, classes, subjects, cameras and most persons of a store; subjects and cameras where known."""
    return {
        "clips": len(store),
        "frames": int(store.frames.sum()),
        "classes": store.num_classes,
        "subjects": len(np.unique(store.subject[store.subject >= 0])),
        "cameras": len(np.unique(store.camera[store.camera >= 0])),
        "persons": store.max_persons,
    }


def compare_counts(store: Store) -> dict[str, Any]:
    """Counts beside the published ones: data set, source, counts, and ``differences`` in words."""
    have, name = count(store), find_published(store)
    if name is None:
        return {"dataset": None, "source": None, "counts": have, "published": {}, "differences": []}
    known = PUBLISHED[name]
    lines = [
        f"{key}: {have[key]:,} here, {value:,} published"
        for key, value in known.counts.items()
        if have[key] != value and not (key in ("subjects", "cameras") and have[key] == 0)
    ]
    for split, (train, test) in known.splits.items():
        try:
            rows = load_split(store, split)
        except UserError:
            continue
        if (len(rows.train), len(rows.test)) != (train, test):
            lines.append(
                f"{split}: {len(rows.train):,}/{len(rows.test):,} train/test here, {train:,}/{test:,} published"
            )
    return {
        "dataset": name,
        "source": known.source,
        "counts": have,
        "published": dict(known.counts),
        "differences": lines,
    }


def balance(store: Store, limits: Limits) -> dict[str, Any]:
    """Clips of each class and subject, and ``notes`` on what is out of balance."""
    classes = {name: int((store.label == label).sum()) for label, name in enumerate(store.class_names)}
    subjects = {int(subject): int((store.subject == subject).sum()) for subject in np.unique(store.subject)}
    notes = []
    unlabelled = int((store.label < 0).sum())
    if unlabelled:
        notes.append(f"clips without a label: {unlabelled:,}")
    empty = [name for name, clips in classes.items() if not clips]
    if empty:
        notes.append(f"classes without a clip: {', '.join(empty)}")
    for what, table in (("class", classes), ("subject", subjects)):
        filled = {key: clips for key, clips in table.items() if clips and key != -1}
        if not filled:
            continue
        most, least = max(filled, key=filled.__getitem__), min(filled, key=filled.__getitem__)
        if filled[most] > limits.imbalance * filled[least]:
            notes.append(f"{what} {most} has {filled[most]:,} clips, {what} {least} has {filled[least]:,}")
    return {"classes": classes, "subjects": {str(key): clips for key, clips in subjects.items()}, "notes": notes}
