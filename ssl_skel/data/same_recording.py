"""Which clips come from one recording: copies, windows and cuts of it, and clips that the store says are.

Found are clips with the same ``recording``, the same content, or five poses in common, however each was moved, turned
or scaled. Not found: cuts that share no frame, are smoothed or resampled, or are stored as float16; say ``recording``
of these. The answer is kept in ``same_recording.json`` in the store.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from ssl_skel.data.audit.groups import equal_groups, join
from ssl_skel.data.audit.overlaps import Poses, pose_hashes
from ssl_skel.data.in_turn import clips_in_turn
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.files.atomic import write_json
from ssl_skel.plain_json import parse_json

FORMAT_VERSION = 1
_KNOWN: WeakKeyDictionary[Store, np.ndarray] = WeakKeyDictionary()


def recording_groups(store: Store) -> np.ndarray:
    """(N,) int64 number of each clip's recording, from 0 in the order in which they begin.

    Read from the store's folder, or found by reading all clips once and kept there, where the folder can be written to.
    """
    if store not in _KNOWN:
        _KNOWN[store] = _kept(store)
    return _KNOWN[store]


def _kept(store: Store) -> np.ndarray:
    key = _key(store)
    file = store.path / "same_recording.json"
    groups = _read(file, key, len(store)) if store.sha256 else None
    if groups is None:
        groups = _found(store)
        if store.sha256 and store.path.is_dir():
            with suppress(UserError):  # a store on a read-only disk is read again each time
                write_json(file, {**key, "groups": groups.tolist()})
    return groups


def _found(store: Store) -> np.ndarray:
    with Poses() as poses:
        for joints in clips_in_turn(store):
            poses.add(pose_hashes(joints[..., : store.layout.coordinates(store.channels)]))
        pairs, _ = poses.shared()
    named = np.where(store.recording >= 0, store.recording, -1 - np.arange(len(store)))
    groups = join(equal_groups(store.content, named), pairs)
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    numbers: np.ndarray = np.argsort(np.argsort(first))[inverse.reshape(-1)]
    return numbers


def _key(store: Store) -> dict[str, str | int]:
    """What the answer depends on."""
    columns = hashlib.sha256(store.content.tobytes() + store.recording.tobytes()).hexdigest()
    return {"format_version": FORMAT_VERSION, "store": store.sha256, "columns": columns}


def _read(file: Path, key: dict[str, str | int], clips: int) -> np.ndarray | None:
    """The kept answer; None if it is missing for these clips, or damaged."""
    try:
        data = parse_json(file.read_bytes())
        groups = np.array(data.pop("groups"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    whole = data == key and groups.shape == (clips,) and groups.dtype.kind == "i"
    return groups.astype(np.int64) if whole else None
