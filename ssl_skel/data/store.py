"""The store: all clips of a data set in one memory-mapped array.

A store is a folder::

    joints.npy   (F, V, C) float32 or float16; clip i, person m, frame t is row offset[i] + m * frames[i] + t
    clips.npz    one number or name a clip: offset, frames, persons, label, subject, ...
    meta.json    layout, class names, splits, normalisation, provenance, sha256 of joints.npy, format version

Absent persons take no space, and nothing in it is missing: readers' gaps were filled on the way. float16 takes half
the space and rounds each coordinate by at most 2^-11 of its size: 1 mm at 2 to 4 m from the origin, 0.5 mm nearer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from ssl_skel.data.clip import RawClip, tracked_joints, tracked_persons
from ssl_skel.errors import UserError
from ssl_skel.files.partial import PartialFolder
from ssl_skel.files.temporary import cannot_write, sync
from ssl_skel.layouts import SkeletonLayout, parse_layout
from ssl_skel.names import unknown

FORMAT_VERSION = 1
DTYPES = {"float32": "<f4", "float16": "<f2"}
COLUMNS = ("offset", "frames", "persons", "label", "subject", "camera", "setup", "replication")


def content_hash(joints: np.ndarray) -> int:
    """A number that equal recordings share: blake2b of shape and float32 coordinates.

    Absent persons do not count; all sorts of "not tracked" are one.

    Args:
        joints: (M, T, V, C) as read, before normalisation.
    """
    present = joints[tracked_persons(joints)].astype(np.float32)
    present = np.where(tracked_joints(present)[..., None], present + 0.0, np.float32(np.nan)).astype("<f4")
    digest = hashlib.blake2b(repr(present.shape).encode(), digest_size=8)
    digest.update(present.tobytes())
    return int.from_bytes(digest.digest(), "little")


@dataclass(frozen=True, eq=False)
class Store:
    """A store, open for reading.

    Attributes:
        path: its folder.
        layout: joints of all clips.
        class_names: one a label.
        meta: what ``meta.json`` holds.
        sha256: of ``joints.npy``, as noted when it was written; ``verify`` compares.
        joints: (F, V, C) float32 or float16, memory-mapped; writing to it changes no file.
        offset, frames, persons: (N,) int64, where a clip lies; see the module's text.
        label, subject, camera, setup, replication: (N,) int64, -1 where unknown.
        name: (N,) str, unique.
        content: (N,) uint64, hash of the recording before normalisation; copies have equal ones.
    """

    path: Path
    layout: SkeletonLayout
    class_names: tuple[str, ...]
    meta: dict[str, Any]
    sha256: str
    joints: np.ndarray
    offset: np.ndarray
    frames: np.ndarray
    persons: np.ndarray
    label: np.ndarray
    subject: np.ndarray
    camera: np.ndarray
    setup: np.ndarray
    replication: np.ndarray
    name: np.ndarray
    content: np.ndarray

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """Open a store without reading its coordinates; takes milliseconds.

        Raises:
            UserError: no store there, another format version, or damage.
        """
        path = Path(path)
        meta = _read_meta(path)
        try:
            layout = parse_layout(meta["layout"], f"{path / 'meta.json'}: layout")
            class_names, sha256 = tuple(meta["class_names"]), str(meta["sha256"])
            shape = (int(meta["num_rows"]), layout.num_joints, int(meta["channels"]))
            dtype = np.dtype(DTYPES[meta.get("dtype", "float32")])  # stores of the first releases do not tell
            dict(meta["splits"]), dict(meta["provenance"]), dict(meta["normalization"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path / 'meta.json'}: is damaged ({error!r}); convert again with --overwrite") from error
        columns = _read_columns(path / "clips.npz", shape[0], len(class_names))
        joints = _map_joints(path / "joints.npy", shape, dtype)
        return cls(path, layout, class_names, meta, sha256, joints, **columns)

    def __len__(self) -> int:
        """N, clips."""
        return len(self.offset)

    @property
    def num_classes(self) -> int:
        """Number of class names."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """C, coordinates a joint."""
        return int(self.joints.shape[2])

    @property
    def max_persons(self) -> int:
        """Most persons in one clip."""
        return int(self.persons.max())

    def clip(self, i: int) -> np.ndarray:
        """Joints (M, T, V, C) float32 of one clip; a view, or a copy where the store is float16."""
        persons, frames, start = int(self.persons[i]), int(self.frames[i]), int(self.offset[i])
        rows = self.joints[start : start + persons * frames].astype(np.float32, copy=False)
        return rows.reshape(persons, frames, *self.joints.shape[1:])

    def verify(self) -> None:
        """Read all of ``joints.npy`` and compare its sha256.

        Raises:
            UserError: it is not what was written.
        """
        if _sha256(self.path / "joints.npy") != self.sha256:
            raise UserError(f"{self.path / 'joints.npy'}: sha256 differs from meta.json's; convert again")


class StoreWriter:
    """Writes a store; it appears under its name only when whole.

    Work goes on in a hidden folder beside it (``PartialFolder``), which is renamed on a clean exit of the ``with``
    block and removed on an error. What a killed writer left behind is removed by the next one for the same path; with
    the same ``key`` it is gone on with, from the last ``checkpoint``. Ctrl-C leaves it like a kill.

    Args:
        path: folder to make.
        layout, class_names, splits: as in ``Store`` and ``ssl_skel.data.splits``.
        provenance, normalization: recorded as they stand on exit.
        overwrite: replace a store of that name, after success.
        dtype: of the coordinates, a row of ``DTYPES``.
        key: tells the work, so that what was left behind can be gone on with; empty: never.

    Attributes:
        resumed: the notes of the checkpoints that were found, oldest first.

    Raises:
        UserError: the path is taken, or is no place for a store.
    """

    def __init__(
        self,
        path: Path | str,
        layout: SkeletonLayout,
        class_names: Sequence[str],
        *,
        splits: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
        normalization: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        dtype: str = "float32",
        key: str = "",
    ) -> None:
        self.path = Path(path).resolve()
        self.layout, self.class_names, self.splits = layout, tuple(class_names), dict(splits or {})
        self.provenance, self.normalization = dict(provenance or {}), dict(normalization or {})
        self._partial = PartialFolder(self.path, overwrite=overwrite, key=key)
        if dtype not in DTYPES:
            raise unknown("dtype", dtype, DTYPES)
        self._dtype = dtype
        self._rows, self._channels = 0, 0
        self._columns: dict[str, list[int]] = {column: [] for column in (*COLUMNS, "content")}
        self._names: dict[str, None] = {}
        self._noted = 0
        self.resumed: list[Any] = []
        self.records: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            self._partial.open()
            file = self._partial.folder / "joints.npy"
            self._file: BinaryIO = file.open("r+b" if self._partial.entries else "w+b")
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._resume()
        return self

    def checkpoint(self, note: Any) -> None:
        """Have all clips so far on the disk, with a note (ready for JSON) of what they stand for."""
        sync(self._file)
        names = list(self._names)[self._noted :]
        columns = {column: values[self._noted :] for column, values in self._columns.items()}
        entry = {"rows": self._rows, "channels": self._channels, "names": names, "columns": columns, "note": note}
        self._partial.note(entry)
        self._noted = len(self._names)

    def _resume(self) -> None:
        """Go back to the last checkpoint, if the coordinates are there."""
        if not self._partial.entries:
            return
        last = self._partial.entries[-1]
        self._rows, self._channels = last["rows"], last["channels"]
        self._write_header()
        width = self.layout.num_joints * self._channels * np.dtype(DTYPES[self._dtype]).itemsize
        end = self._file.tell() + self._rows * width
        if self._file.seek(0, os.SEEK_END) < end:  # a disk that lied when it was asked to keep them
            self._partial.restart()
            self._rows = self._channels = end = 0
        self._file.truncate(end)
        self._file.seek(end)
        for entry in self._partial.entries:
            self._names.update(dict.fromkeys(entry["names"]))
            for column, values in self._columns.items():
                values.extend(entry["columns"][column])
            self.resumed.append(entry["note"])
        self._noted = len(self._names)

    def add(self, clip: RawClip, content: int | None = None) -> None:
        """Append a clip.

        Args:
            clip: joints (M, T, V, C) with nothing missing, normalised as all others.
            content: ``content_hash`` of the recording before normalisation; default: of this one.

        Raises:
            UserError: a name that was there before, a label without a class, a wrong shape, missing values, or
                values that the dtype cannot hold.
        """
        joints = np.ascontiguousarray(clip.joints, np.float32)
        channels = self._channels or (joints.shape[-1] if joints.ndim == 4 else 3)
        if joints.ndim != 4 or 0 in joints.shape or joints.shape[2:] != (self.layout.num_joints, channels):
            wanted = f"(persons, frames, {self.layout.num_joints}, {channels})"
            raise UserError(f"clip {clip.name!r}: joints have shape {joints.shape}; expected {wanted}")
        if not np.isfinite(joints).all():
            raise UserError(f"clip {clip.name!r}: holds NaN or infinity; fill missing joints first")
        if clip.name in self._names:
            raise UserError(f"clip {clip.name!r}: the name was there before; give each clip its own")
        if not -1 <= clip.label < len(self.class_names):
            raise UserError(
                f"clip {clip.name!r}: label {clip.label} has no class; there are {len(self.class_names)}, from 0"
            )
        if not self._channels:
            self._channels = channels
            self._write_header()
        with np.errstate(over="ignore"):
            stored = joints.astype(DTYPES[self._dtype])
        if not np.isfinite(stored).all():
            raise UserError(f"clip {clip.name!r}: has coordinates beyond float16's 65504; keep dtype float32")
        self._file.write(stored.tobytes())
        row = {
            "offset": self._rows,
            "frames": joints.shape[1],
            "persons": joints.shape[0],
            "content": content_hash(clip.joints) if content is None else content,
        }
        for column, values in self._columns.items():
            values.append(int(row[column] if column in row else getattr(clip, column)))
        self._names[clip.name] = None
        self._rows += joints.shape[0] * joints.shape[1]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
            elif isinstance(error, OSError):
                raise error
        except OSError as problem:
            raise cannot_write(self.path, problem) from problem
        finally:
            with contextlib.suppress(OSError):  # a full disk refuses the last bytes again
                self._file.close()
            stopped = kind is not None and not issubclass(kind, Exception)  # Ctrl-C; nothing was amiss
            self._partial.close(keep=stopped and self._noted > 0)

    def _finish(self) -> None:
        if not self._names:
            raise UserError(f"{self.path}: no clip was written; look at the source")
        self._write_header()
        self._file.close()
        folder = self._partial.folder
        columns = {column: np.array(values, np.int64) for column, values in self._columns.items() if column in COLUMNS}
        with (folder / "clips.npz").open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                name=np.array(list(self._names)),
                content=np.array(self._columns["content"], np.uint64),
                **columns,
            )
        meta = {
            "format_version": FORMAT_VERSION,
            "layout": self.layout.to_dict(),
            "class_names": list(self.class_names),
            "channels": self._channels,
            "dtype": self._dtype,
            "num_clips": len(self._names),
            "num_rows": self._rows,
            "splits": self.splits,
            "normalization": self.normalization,
            "provenance": self.provenance,
            "sha256": _sha256(folder / "joints.npy"),
        }
        for name, content in {**self.records, "meta": meta}.items():
            (folder / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")
        self._partial.publish()

    def _write_header(self) -> None:
        """The header of joints.npy; NumPy leaves room in it for the first axis to grow."""
        self._file.seek(0)
        shape = (self._rows, self.layout.num_joints, self._channels)
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": DTYPES[self._dtype], "fortran_order": False, "shape": shape}
        )


def _read_meta(path: Path) -> dict[str, Any]:
    file = path / "meta.json"
    if not file.is_file():
        raise UserError(f"{path}: no store there; make it with ssl-skel convert")
    try:
        meta = json.loads(file.read_bytes())
        version = meta["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: is damaged; convert again with --overwrite") from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"{file}: format_version: the store has {version}, this release reads {FORMAT_VERSION}; convert again"
        )
    return dict(meta)


def _read_columns(file: Path, rows: int, classes: int) -> dict[str, np.ndarray]:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
            columns = {column: data[column].astype(np.int64, casting="safe") for column in COLUMNS}
            columns["name"] = data["name"].astype(np.str_, casting="safe")
            columns["content"] = data["content"].astype(np.uint64, casting="safe")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{file}: is damaged or missing; convert again with --overwrite") from error
    shapes = {values.shape for values in columns.values()}
    length = columns["persons"] * columns["frames"]
    whole = (
        len(shapes) == 1
        and columns["name"].ndim == 1
        and length.size > 0
        and (length > 0).all()
        and np.array_equal(columns["offset"], np.cumsum(length) - length)
        and length.sum() == rows
        and (columns["label"] >= -1).all()
        and (columns["label"] < classes).all()
    )
    if not whole:
        raise UserError(f"{file}: does not fit the rest of the store; convert again with --overwrite")
    return columns


def _map_joints(file: Path, shape: tuple[int, int, int], dtype: np.dtype) -> np.ndarray:
    try:
        joints = np.load(file, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{file}: is truncated, damaged or missing; convert again with --overwrite") from error
    size = joints.offset + joints.nbytes
    if joints.shape != shape or joints.dtype != dtype or file.stat().st_size != size:
        raise UserError(f"{file}: is not what meta.json tells of; convert again with --overwrite")
    return joints


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
