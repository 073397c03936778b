"""From a folder of raw recordings to a store, and what a store holds."""

from __future__ import annotations

import difflib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ssl_skel import __version__
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.readers import READERS, RawClip, Reader
from ssl_skel.data.readers.base import check_clip
from ssl_skel.data.splits import check_splits, load_split
from ssl_skel.data.store import Store, StoreWriter, content_hash
from ssl_skel.errors import UserError


def convert(
    format: str,
    source: Path,
    store: Path,
    *,
    normalize: NormalizeConfig,
    skip_bad: bool = False,
    overwrite: bool = False,
    layout: str | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Read a data set, normalise each clip, write a store.

    Args:
        format: a row of ``READERS``.
        source: where the recordings lie.
        store: folder to make; it appears only when whole.
        normalize: what is done to each clip.
        skip_bad: leave damaged files and clips out, counted and listed, instead of stopping.
        overwrite: replace the store, after success.
        layout: for formats that leave it open.
        progress: show a bar.

    Returns:
        A summary: clips, frames, persons (most in a clip), classes, skipped, seconds, filled (joint positions put
        where none was tracked), copies (clips whose recording equals an earlier clip's).

    Raises:
        UserError: the first damaged file, or what else stands in the way; nothing is left behind.
    """
    begin = time.perf_counter()
    if format not in READERS:
        near = difflib.get_close_matches(format, READERS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(READERS)}"
        raise UserError(f"format {format!r} is unknown; {hint}")
    reader = READERS[format](Path(source), layout)
    check_splits(reader.splits, str(source))
    files = reader.files()
    skipped: list[dict[str, str]] = []
    filled = 0
    provenance = {
        "format": format,
        "source": Path(source).resolve().name,
        "files": len(files),
        "tool": f"ssl-skel {__version__}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with StoreWriter(
        store, reader.layout, reader.class_names, splits=reader.splits, provenance=provenance, overwrite=overwrite
    ) as writer:
        for file in tqdm(files, desc=f"convert {format}", unit="file", disable=not progress):
            for clip in _clips(reader, file, skipped if skip_bad else None):
                filled += _add(writer, clip, reader, normalize, file)
        writer.provenance["skipped"] = skipped
        writer.normalization = normalize.model_dump() | {"units": normalize.units, "filled": filled}
    facts = describe(Path(store))
    kept = ("clips", "frames", "persons", "classes", "skipped", "filled", "copies")
    return {"store": str(store)} | {key: facts[key] for key in kept} | {"seconds": time.perf_counter() - begin}


def describe(store: Path) -> dict[str, Any]:
    """Facts about a store, ready for JSON.

    Raises:
        UserError: there is no store, or it is damaged.
    """
    opened = Store.open(store)
    frames = opened.frames
    labels = Counter(opened.label.tolist())
    names = dict(enumerate(opened.class_names)) | ({-1: "(unknown)"} if -1 in labels else {})
    return {
        "store": str(store),
        "format": opened.meta["provenance"].get("format"),
        "layout": opened.layout.name,
        "joints": opened.layout.num_joints,
        "channels": opened.channels,
        "clips": len(opened),
        "frames": int(frames.sum()),
        "persons": opened.max_persons,
        "classes": opened.num_classes,
        "skipped": opened.meta["provenance"].get("skipped", []),
        "filled": opened.meta["normalization"].get("filled", 0),
        "copies": len(opened) - len(np.unique(opened.content)),
        "lengths": {
            "min": int(frames.min()),
            "median": float(np.median(frames)),
            "p95": float(np.percentile(frames, 95)),
            "max": int(frames.max()),
        },
        "per_class": {name: labels[label] for label, name in names.items()},
        "splits": {name: _sizes(opened, name) for name in opened.meta["splits"]},
        "normalization": opened.meta["normalization"],
        "provenance": opened.meta["provenance"],
        "sha256": opened.sha256,
    }


def _clips(reader: Reader, file: Path, skipped: list[dict[str, str]] | None) -> Iterator[RawClip]:
    """Sound clips of one file; damage is listed in ``skipped``, or stops everything where that is None."""
    clips = reader.read(file)
    while True:
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is: not tracked
                clip = next(clips, None)
            if clip is None:
                return
            check_clip(clip, reader.layout, file)
        except UserError as error:
            if skipped is None:
                raise UserError(f"{error}; mend or remove it, or leave it out with --skip-bad") from error
            within = file.relative_to(reader.source) if file != reader.source else file.name
            skipped.append({"file": str(within), "why": str(error).removeprefix(f"{file}: ")})
        else:
            yield clip


def _add(writer: StoreWriter, clip: RawClip, reader: Reader, config: NormalizeConfig, file: Path) -> int:
    """Normalise and write one clip; returns how many joint positions were filled."""
    try:
        joints, filled = normalize(clip.joints, reader.layout, config)
        writer.add(replace(clip, joints=joints), content_hash(clip.joints))
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return filled


def _sizes(store: Store, name: str) -> dict[str, Any]:
    """Clips of a split and of its clean variant; what is wrong where it cannot be used on this store."""
    try:
        split = load_split(store, name)
    except UserError as error:
        return {"error": str(error).removeprefix(f"{store.path}: ")}
    clean = ~np.isin(store.content[split.test], store.content[split.train])
    return {"train": len(split.train), "test": len(split.test), "test_clean": int(clean.sum())}
