"""A conversion that several machines share: each makes a store of its part of the files, and the parts are joined."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from ssl_skel import __version__
from ssl_skel.data.clip_columns import ALL_COLUMNS, blocks_of
from ssl_skel.data.meta import Dtype, Meta, Provenance, Shard
from ssl_skel.data.normalize import record
from ssl_skel.data.readers.base import Reader
from ssl_skel.data.store import Store, hash_file
from ssl_skel.data.writer import describe_store, write_header
from ssl_skel.errors import UserError
from ssl_skel.files.folders import absolute
from ssl_skel.files.partial import PartialFolder
from ssl_skel.files.temporary import cannot_write, sync
from ssl_skel.plain_json import parse_json
from ssl_skel.progress import Progress
from ssl_skel.progress import progress as show_progress

_OWN = {"files", "date", "dropped", "skipped", "excluded", "exclusions_without_a_clip", "repairs", "shard"}
_BYTES = 1 << 24  # copied at once


def check_shard(shard: tuple[int, int]) -> None:
    """Refuse a part that there is not.

    Args:
        shard: (i, n), from 1 on.
    """
    number, of = shard
    if not 1 <= number <= of:
        raise UserError(f"--shard {number}/{of}: counts parts from 1, as in 1/4 to 4/4")


def rows_of(rows: np.ndarray, shard: tuple[int, int], source: Path | str) -> np.ndarray:
    """One part of rows that several machines share, in order.

    Args:
        rows: (N, ...), of all parts.
        shard: (i, n) that there is.
        source: what the rows are of, for the message.

    Raises:
        UserError: nothing is left for the part.
    """
    number, of = shard
    part = np.array_split(rows, of)[number - 1]
    if not len(part):
        raise UserError(f"--shard {number}/{of}: is empty; {source} needs fewer parts")
    return part


def part_of(reader: Reader, shard: tuple[int, int]) -> tuple[list[Path], Shard | None]:
    """The files of one part of a conversion, in order; and what its store says about that, None where it is the whole.

    Args:
        reader: of all files.
        shard: (i, n), from 1 on.

    Raises:
        UserError: a part that there is not, or that has no file.
    """
    check_shard(shard)
    number, of = shard
    files = reader.files()
    if of == 1:
        return files, None
    if of > len(files):
        raise UserError(f"--shard {number}/{of}: {reader.source}: has fewer files than parts, {len(files)}; use fewer")
    facts = [(str(file.relative_to(reader.source)), file.stat().st_size) for file in files]
    sha256 = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    begin, end = len(files) * (number - 1) // of, len(files) * number // of
    return files[begin:end], Shard(number=number, of=of, files=sha256)


def merge_shards(
    shards: Sequence[Path | str], output: Path | str, *, overwrite: bool = False, progress: bool = True
) -> Path:
    """Join the parts of one conversion to the store that one machine would have made, in memory that stays small.

    After a kill the same call continues behind the last part that was copied.

    Args:
        shards: folders of all parts, in any order.
        output: folder to make.
        overwrite: replace the output, after success.
        progress: show a bar.

    Returns:
        The output.

    Raises:
        UserError: a part is missing, damaged or of another conversion, or two clips have one name.
    """
    parts = _in_order([Store.open(path) for path in shards])
    work = PartialFolder(
        absolute(output),
        overwrite=overwrite,
        kind="store",
        inputs=[part.path for part in parts],
        key=hashlib.sha256("".join(part.sha256 for part in parts).encode()).hexdigest(),
    )
    try:
        work.open()
        _check_names(parts)
        _join_joints(work, parts, progress)
        meta = _joined_meta(parts, hash_file(work.folder / "joints.npy"))
        columns = {column: (_type(parts, column), _blocks(parts, column)) for column in ALL_COLUMNS}
        describe_store(work.folder, meta, columns, _joined_repairs(parts))
        work.publish()
    except OSError as error:
        raise cannot_write(work.path, error) from error
    finally:
        work.close(keep=isinstance(sys.exception(), KeyboardInterrupt))
    return Path(output)


def _in_order(parts: Sequence[Store]) -> list[Store]:
    """The parts by their numbers.

    Raises:
        UserError: they are not those of one conversion, each once.
    """
    if not parts:
        raise UserError("merge-shards: give the stores to join")
    known: dict[int, Store] = {}
    first, whole = parts[0], parts[0].provenance.shard
    for part in parts:
        shard = part.provenance.shard
        if shard is None or whole is None:
            raise UserError(f"{part.path}: is not made by convert --shard; stores of different data are for merge")
        where = f"{part.path}: is part {shard.number}/{shard.of}"
        if shard.of != whole.of:
            raise UserError(f"{where}, but {first.path} is one of {whole.of} parts; join parts of one division")
        if shard.files != whole.files:
            raise UserError(f"{where} of other files than {first.path}; join the parts of one conversion")
        if shard.number in known:
            raise UserError(f"{where}, and so is {known[shard.number].path}; leave one of them out")
        known[shard.number] = part
        mine, others = _how(part), _how(first)
        field = next((field for field in mine if mine[field] != others[field]), None)
        if field:
            raise UserError(f"{part.path}: {field}: differs from that of {first.path}; convert all parts alike")
    of = whole.of if whole else 0
    if missing := [f"{number}/{of}" for number in range(1, of + 1) if number not in known]:
        more = f" and {len(missing) - 1} more are" if missing[1:] else " is"
        raise UserError(f"merge-shards: part {missing[0]}{more} missing; make it with convert --shard {missing[0]}")
    return [part for _, part in sorted(known.items())]


def _how(part: Store) -> dict[str, Any]:
    """What all parts have in common."""
    facts = part.provenance.model_dump(mode="json", exclude=_OWN)
    repairs = part.provenance.repairs
    return {
        **{"layout": part.layout, "class_names": part.class_names, "splits": part.splits},
        **{"value_names": part.value_names, "normalization": part.normalization},
        **{"dtype": part.joints.dtype, "coordinates": part.channels, **facts},
        "repairs": repairs and repairs.model_dump(exclude={"changes"}),
    }


def _check_names(parts: Sequence[Store]) -> None:
    """Refuse a name that two clips have; hashes of 8 bytes stand for the names, so that memory stays small.

    Raises:
        UserError: two clips have one name.
    """
    width = max(part.name.dtype.itemsize // 4 for part in parts)
    factors = np.random.default_rng(0).integers(1 << 62, size=width, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashes = np.concatenate([_hashes(block, factors) for part in parts for block in blocks_of(part.name)])
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
    for a, b in zip(order[same].tolist(), order[same + 1].tolist(), strict=True):
        if _name(parts, a) == _name(parts, b):
            raise UserError(f"merge-shards: two clips are called {_name(parts, a)!r}; give each recording its own name")


def _hashes(names: np.ndarray, factors: np.ndarray) -> np.ndarray:
    letters = np.ascontiguousarray(names).view(np.uint32).reshape(len(names), -1)
    total: np.ndarray = (letters * factors[: letters.shape[1]]).sum(1, dtype=np.uint64)
    return total


def _name(parts: Sequence[Store], at: int) -> str:
    """Name of a clip that is counted through all parts."""
    for part in parts:
        if at < len(part):
            break
        at -= len(part)
    return str(part.name[at])


def _join_joints(work: PartialFolder, parts: Sequence[Store], progress: bool) -> None:
    """Copy the coordinates of all parts into one ``joints.npy``, part by part.

    Raises:
        UserError: a part's file is not what was written.
    """
    done = len(work.entries)
    rows = [len(part.joints) for part in parts]
    total, before = sum(rows), sum(rows[:done])
    file = work.folder / "joints.npy"
    with (
        file.open("r+b" if done else "w+b") as out,
        show_progress(
            title="merge", total=sum(rows), initial=sum(rows[:done]), unit="frame", hidden=not progress
        ) as bar,
    ):
        first = parts[0]
        write_header(out, _dtype(first), (total, *first.joints.shape[1:]))
        out.seek(before * first.joints[:1].nbytes, 1)
        out.truncate()
        for number, part in enumerate(parts[done:], done + 1):
            _copy(part, out, bar)
            sync(out)
            work.note({"part": number})


def _copy(part: Store, out: BinaryIO, bar: Progress) -> None:
    digest, frame, path = hashlib.sha256(), part.joints[:1].nbytes, part.path / "joints.npy"
    with path.open("rb") as file:
        digest.update(file.read(path.stat().st_size - part.joints.nbytes))
        while block := file.read(max(1, _BYTES // frame) * frame):
            digest.update(block)
            out.write(block)
            bar.update(len(block) // frame)
    if digest.hexdigest() != part.sha256:
        raise UserError(f"{path}: sha256 differs from meta.json's; convert this part again")


def _dtype(part: Store) -> Dtype:
    return cast("Dtype", part.joints.dtype.name)


def _joined_meta(parts: Sequence[Store], sha256: str) -> Meta:
    first = parts[0]
    return Meta(
        layout=first.layout.to_dict(),
        class_names=first.class_names,
        channels=first.channels,
        dtype=_dtype(first),
        num_clips=sum(map(len, parts)),
        num_rows=sum(len(part.joints) for part in parts),
        splits=dict(first.splits),
        value_names={column: dict(names) for column, names in first.value_names.items()},
        normalization=record(first.normalization, sum(part.filled for part in parts)),
        provenance=_joined_provenance([part.provenance for part in parts]),
        sha256=sha256,
    )


def _joined_provenance(parts: Sequence[Provenance]) -> Provenance:
    """What one machine would have recorded."""
    known = [set(part.exclusions_without_a_clip) for part in parts]
    dropped: dict[str, int] = {}
    for part in parts:
        for kind, count in part.dropped.items():
            dropped[kind] = dropped.get(kind, 0) + count
    found: dict[str, Any] = {
        "files": sum(part.files for part in parts),
        "tool": f"ssl-skel {__version__}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "dropped": dropped,
        "skipped": tuple(one for part in parts for one in part.skipped),
        "excluded": tuple(one for part in parts for one in part.excluded),
        "exclusions_without_a_clip": tuple(sorted(set.intersection(*known))),
    }
    if (repairs := parts[0].repairs) is not None:
        changes = sum(part.repairs.changes for part in parts if part.repairs)
        found["repairs"] = repairs.model_copy(update={"changes": changes})
    fields = parts[0].model_fields_set - {"shard"}
    return Provenance.model_construct(fields, **{field: getattr(parts[0], field) for field in fields} | found)


def _joined_repairs(parts: Sequence[Store]) -> dict[str, Any]:
    """``repairs.json`` of the whole, where something was to be repaired.

    Raises:
        UserError: a part's file is damaged.
    """
    joined: dict[str, Any] = {}
    for part in parts:
        if part.provenance.repairs is None:
            return {}
        file = part.path / "repairs.json"
        try:
            joined |= parse_json(file.read_bytes())
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{file}: is damaged or missing; convert this part again") from error
    return {"repairs": joined}


def _type(parts: Sequence[Store], column: str) -> np.dtype:
    """Type of a column, in which every part's names have room."""
    return np.result_type(*(getattr(part, column).dtype for part in parts))


def _blocks(parts: Sequence[Store], column: str) -> Iterator[np.ndarray]:
    """A column of the whole, block by block."""
    before = 0
    for part in parts:
        for block in blocks_of(getattr(part, column)):
            yield block + before if column == "offset" else block
        before += len(part.joints)
