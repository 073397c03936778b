"""From a folder of raw recordings to a store, and what a store holds."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel import __version__
from ssl_skel.data.clip import BadClip
from ssl_skel.data.conversion import Conversion
from ssl_skel.data.derived_splits import offered
from ssl_skel.data.dropped import report
from ssl_skel.data.exclusions import read_exclusions
from ssl_skel.data.frame_rate import count_rates
from ssl_skel.data.meta import Provenance, RepairRecord, Shard
from ssl_skel.data.normalize import NormalizeConfig, record
from ssl_skel.data.plausibility import implausible
from ssl_skel.data.repair import RepairConfig
from ssl_skel.data.shards import part_of
from ssl_skel.data.sources.guess import guessing
from ssl_skel.data.sources.open import open_reader
from ssl_skel.data.sources.reading import Done, Ready, Work, damage_record, read_files
from ssl_skel.data.split_form import check_splits
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError
from ssl_skel.progress import progress as show_progress

_SECONDS_BETWEEN_CHECKPOINTS = 5.0
_HINT = "--skip-bad leaves it out"
_SUMMARY = (
    *("store", "clips", "frames", "fps", "persons", "classes", "skipped", "excluded", "exclusions_without_a_clip"),
    *("repairs", "filled", "copies", "dropped", "notices", "seconds"),
)


def convert(
    format: str,
    source: Path,
    store: Path,
    *,
    normalize: NormalizeConfig,
    options: Sequence[str] = (),
    skip_bad: bool = False,
    overwrite: bool = False,
    layout: str | None = None,
    dtype: str = "float32",
    exclude: Path | None = None,
    repairs: RepairConfig | None = None,
    rate: float = 0.0,
    jobs: int = 1,
    shard: tuple[int, int] = (1, 1),
    progress: bool = True,
) -> dict[str, Any]:
    """Read a data set, normalise each clip, write a store; after a kill or a stop, the same call continues from there.

    Clips are in the order of the files, whatever the number of jobs. Memory hardly grows with them.

    Args:
        format, source: an entry of ``READERS``, and where the recordings are.
        store, overwrite: folder to make; it appears only when whole; replace the one that is there, after success.
        normalize, options: what is done to each clip; ``key=value`` words for the reader's ``Options``.
        skip_bad: leave damaged files and clips out, counted and listed, instead of stopping.
        dtype: of the stored coordinates, float32 or float16; see ``ssl_skel.data.store`` for what float16 loses.
        exclude: list of clips to leave out; see ``ssl_skel.data.exclusions``.
        repairs: what is repaired before normalisation; ``repairs.json`` in the store keeps what was changed.
        layout, rate: for formats that leave it open; frames a second that clips are brought to, 0: their own.
        jobs, progress: processes that read files (one where a data set is kept in one file); show a bar.
        shard: (i, n), only the i-th of n parts of the files; see ``merge_shards``.

    Returns:
        A short form of what ``describe`` returns, and seconds.

    Raises:
        UserError: the first damaged file, or another obstacle; nothing is left behind.
    """
    begin = time.perf_counter()
    with guessing(format, Path(source), layout):
        reader = open_reader(format, source, layout, options)
        check_splits(reader.splits, str(source), new=True)
        files, part = part_of(reader, shard)
        work = Work(reader, normalize, skip_bad, _HINT, read_exclusions(exclude), repairs or RepairConfig(), rate)
        with StoreWriter(
            store,
            reader.layout,
            reader.class_names,
            splits=reader.splits,
            provenance=_provenance(format, work, len(files), layout, part),
            overwrite=overwrite,
            inputs=[Path(path) for path in (source, exclude) if path],
            dtype=dtype,
            key=_key(work, format, files, dtype),
        ) as writer:
            _record(writer, work, _write(writer, work, files, jobs, progress))
    facts = describe(Path(store)) | {"seconds": time.perf_counter() - begin}
    return {key: facts[key] for key in _SUMMARY}


def describe(store: Path) -> dict[str, Any]:
    """Facts about a store, ready for JSON.

    Raises:
        UserError: there is no store, or it is damaged.
    """
    opened = Store.open(store)
    frames = opened.frames
    labels = Counter(opened.label.tolist())
    provenance = opened.provenance
    names = dict(enumerate(opened.class_names)) | ({-1: "(unknown)"} if -1 in labels else {})
    return {
        "store": str(store),
        "format": provenance.format,
        "layout": opened.layout.name,
        "joints": opened.layout.num_joints,
        "channels": opened.channels,
        "clips": len(opened),
        "frames": int(frames.sum()),
        "fps": count_rates(opened.fps),
        "persons": opened.max_persons,
        "classes": opened.num_classes,
        "skipped": list(provenance.skipped),
        "excluded": len(provenance.excluded),
        "exclusions_without_a_clip": list(provenance.exclusions_without_a_clip),
        "repairs": provenance.repairs.changes if provenance.repairs else 0,
        "filled": opened.filled,
        "copies": len(opened) - len(np.unique(opened.content)),
        "lengths": {
            "min": int(frames.min()),
            "median": float(np.median(frames)),
            "p95": float(np.percentile(frames, 95)),
            "max": int(frames.max()),
        },
        "per_class": {name: labels[label] for label, name in names.items()},
        "splits": {name: _sizes(opened, name) for name in opened.splits},
        "derived_splits": {name: reason or "possible" for name, reason in offered(opened).items()},
        "normalization": record(opened.normalization, opened.filled),
        "dropped": report(provenance.dropped, provenance.options),
        "notices": [notice.message for notice in implausible(opened)],
        "provenance": provenance.to_dict(),
        "sha256": opened.sha256,
    }


@dataclass
class _Totals:
    """Progress of a conversion: files done, clips of the file being read, and facts for the summary.

    ``repaired`` holds the changes by clip; a checkpoint notes those since the last one.
    """

    files: int = 0
    within: int = 0
    filled: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    repaired: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @classmethod
    def of(cls, notes: Sequence[dict[str, Any]]) -> _Totals:
        """From the notes of all checkpoints, oldest first."""
        repaired = {clip: changes for note in notes for clip, changes in note["repaired"].items()}
        if not notes:
            return cls()
        return cls(**notes[-1] | {"repaired": repaired, "dropped": Counter(notes[-1]["dropped"])})


def _write(writer: StoreWriter, work: Work, files: Sequence[Path], jobs: int, progress: bool) -> _Totals:
    """Read files and write their clips, from the last checkpoint on."""
    totals, fresh = _Totals.of(writer.resumed), {}
    noted, title = time.monotonic(), f"convert {writer.provenance.format}"
    with show_progress(title=title, total=len(files), unit="file", hidden=not progress) as bar:
        bar.update(totals.files)
        for item in read_files(work, files[totals.files :], jobs, skip=totals.within):
            if isinstance(item, Done):
                totals.files, totals.within = totals.files + 1, 0
                totals.skipped.extend(item.skipped)
                totals.excluded.extend(item.excluded)
                bar.update()
            else:
                totals.within += 1
                bad = _add(writer, work, item)
                totals.skipped.extend(bad)
                totals.filled += 0 if bad else item.filled
                totals.dropped.update({} if bad else item.clip.dropped)
                if item.changes and not bad:
                    fresh[item.clip.name] = [change.to_dict() for change in item.changes]
            if time.monotonic() - noted > _SECONDS_BETWEEN_CHECKPOINTS:
                writer.checkpoint(asdict(replace(totals, repaired=fresh)))
                totals.repaired |= fresh
                fresh, noted = {}, time.monotonic()
    totals.repaired |= fresh
    return totals


def _add(writer: StoreWriter, work: Work, item: Ready) -> list[dict[str, str]]:
    """Write a clip; one whose name or shape fits no store is listed, or stops everything, like damage."""
    try:
        writer.add(item.clip, item.content)
    except UserError as error:
        problem = UserError(f"{item.file}: {error}")
        if not work.skip_bad:
            raise problem from error
        return [damage_record(work.reader, item.file, BadClip(item.clip.name, problem))]
    return []


def _record(writer: StoreWriter, work: Work, totals: _Totals) -> None:
    """Record in the store what was done to the recordings, and which are not in it.

    Raises:
        UserError: none are in it.
    """
    if not writer.clips:
        left_out = len(totals.skipped) + len(totals.excluded)
        shard = writer.provenance.shard
        raise UserError(
            f"{work.reader.source}: "
            + (f"part {shard.number}/{shard.of} holds no clips" if shard else "holds no clips")
            + (f" besides {left_out} left out" if left_out else "")
            + ("; convert in fewer parts" if shard else "")
        )
    writer.normalization, writer.filled = work.normalize, totals.filled
    writer.value_names = work.reader.value_names
    found: dict[str, Any] = {
        "skipped": tuple(totals.skipped),
        "excluded": tuple(totals.excluded),
        "dropped": dict(totals.dropped),
        "exclusions_without_a_clip": tuple(sorted(work.exclude - set(totals.excluded))),
    }
    if work.repairs.steps:
        changes = sum(map(len, totals.repaired.values()))
        found["repairs"] = RepairRecord(changes=changes, **work.repairs.model_dump())
        writer.records["repairs"] = totals.repaired
    writer.provenance = writer.provenance.model_copy(update=found)


def _provenance(format: str, work: Work, files: int, layout: str | None, shard: Shard | None) -> Provenance:
    """Where a store comes from, without paths of this machine."""
    reader = work.reader
    found = Provenance(
        format=format,
        source=reader.source.resolve().name,
        files=files,
        options=reader.recorded_options(),
        conversion=_conversion(format, work, layout),
        tool=f"ssl-skel {__version__}",
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return found if shard is None else found.model_copy(update={"shard": shard})


def _conversion(format: str, work: Work, layout: str | None) -> Conversion:
    """What holds for other recordings too: whatever all descriptions of the source agree on."""
    reader = work.reader
    found = reader.told(reader.source, reader.options)
    first, *others = [one.lasting() for one in found]
    given = layout is not None or any(getattr(one, "layout", "") for one in found)
    return Conversion(
        format=format,
        options={name: value for name, value in first.items() if all(one.get(name) == value for one in others)},
        layout=reader.layout.without_score().to_dict() if given else None,
        rate=work.rate,
        repairs=work.repairs,
    )


def _key(work: Work, format: str, files: Sequence[Path], dtype: str) -> str:
    """Identifies a conversion: what is read, in its present state, and what is done to it."""
    reader = work.reader
    stats = [(str(file.relative_to(reader.source)), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    facts = {
        "reader": [__version__, format, reader.recorded_options(), reader.layout.to_dict()],
        "work": [work.normalize.model_dump(), work.skip_bad, dtype, sorted(work.exclude), work.repairs.model_dump()],
        "rate": work.rate,
        "files": stats,
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _sizes(store: Store, name: str) -> dict[str, Any]:
    """Clips of a split and of its deduplicated variant; what is wrong where it cannot be used on this store."""
    try:
        split = load_split(store, name)
    except UserError as error:
        return {"error": str(error).removeprefix(f"{store.path}: ")}
    own = ~np.isin(store.content[split.test], store.content[split.train])
    return {"train": len(split.train), "test": len(split.test), "test_dedup": int(own.sum())}
