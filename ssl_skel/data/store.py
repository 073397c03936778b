"""The store: all clips of a data set in one memory-mapped array.

A store is a folder::

    joints.npy   (F, V, C) float32; clip i, person m, frame t is row offset[i] + m * frames[i] + t
    clips.npz    one number or name a clip: offset, frames, persons, label, subject, ...
    meta.json    layout, class names, splits, normalisation, provenance, sha256 of joints.npy, format version

Absent persons take no space, and nothing in it is missing: readers' gaps were filled on the way.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from ssl_skel.data.readers.base import RawClip, tracked_joints, tracked_persons
from ssl_skel.errors import UserError
from ssl_skel.layout import SkeletonLayout, parse_layout

try:
    import fcntl
except ImportError:  # Windows, where a folder with an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

FORMAT_VERSION = 1
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
        joints: (F, V, C) float32, memory-mapped; writing to it changes no file.
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
            dict(meta["splits"]), dict(meta["provenance"]), dict(meta["normalization"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path / 'meta.json'}: is damaged ({error!r}); convert again with --overwrite") from error
        columns = _read_columns(path / "clips.npz", shape[0], len(class_names))
        joints = _map_joints(path / "joints.npy", shape)
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
        """Joints (M, T, V, C) of one clip; a view."""
        persons, frames, start = int(self.persons[i]), int(self.frames[i]), int(self.offset[i])
        return self.joints[start : start + persons * frames].reshape(persons, frames, *self.joints.shape[1:])

    def verify(self) -> None:
        """Read all of ``joints.npy`` and compare its sha256.

        Raises:
            UserError: it is not what was written.
        """
        if _sha256(self.path / "joints.npy") != self.sha256:
            raise UserError(f"{self.path / 'joints.npy'}: sha256 differs from meta.json's; convert again")


class StoreWriter:
    """Writes a store; it appears under its name only when whole.

    Work goes on in a hidden folder beside it, which is renamed on a clean exit of the ``with`` block and
    removed on an error. What a killed writer left behind is removed by the next one for the same path.

    Args:
        path: folder to make.
        layout, class_names, splits: as in ``Store`` and ``ssl_skel.data.splits``.
        provenance, normalization: recorded as they stand on exit.
        overwrite: replace a store of that name, after success.

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
    ) -> None:
        self.path = Path(path).resolve()
        self.layout, self.class_names, self.splits = layout, tuple(class_names), dict(splits or {})
        self.provenance, self.normalization = dict(provenance or {}), dict(normalization or {})
        self._folder = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.partial")
        self._old = self.path.with_name(f".{self.path.name}.old")
        self._rows, self._channels = 0, 0
        self._columns: dict[str, list[int]] = {column: [] for column in (*COLUMNS, "content")}
        self._names: dict[str, None] = {}
        if self._old.exists() and not self.path.exists():  # killed between the two renames of a replacement
            self._old.rename(self.path)
        self._overwrite = overwrite
        self._refuse_taken()
        if self.path.exists() and not (self.path / "meta.json").is_file():
            raise UserError(f"{self.path}: exists and is no store, so it will not be replaced; choose another path")

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(self.path)
            self._folder.mkdir()
            self._lock = _lock(self._folder)
            self._file: BinaryIO = (self._folder / "joints.npy").open("w+b")
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror}; choose another path") from error
        return self

    def add(self, clip: RawClip, content: int | None = None) -> None:
        """Append a clip.

        Args:
            clip: joints (M, T, V, C) with nothing missing, normalised as all others.
            content: ``content_hash`` of the recording before normalisation; default: of this one.

        Raises:
            UserError: a name that was there before, a label without a class, a wrong shape, or missing values.
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
        self._file.write(joints.tobytes())
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
            reason = problem.strerror or problem
            raise UserError(f"{self.path}: cannot be written: {reason}; make room or choose another path") from problem
        finally:
            with contextlib.suppress(OSError):  # a full disk refuses the last bytes again
                self._file.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            if self._lock is not None:
                os.close(self._lock)

    def _finish(self) -> None:
        if not self._names:
            raise UserError(f"{self.path}: no clip was written; look at the source")
        self._write_header()
        _sync(self._file)
        self._file.close()
        columns = {column: np.array(values, np.int64) for column, values in self._columns.items() if column in COLUMNS}
        with (self._folder / "clips.npz").open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                name=np.array(list(self._names)),
                content=np.array(self._columns["content"], np.uint64),
                **columns,
            )
            _sync(file)
        meta = {
            "format_version": FORMAT_VERSION,
            "layout": self.layout.to_dict(),
            "class_names": list(self.class_names),
            "channels": self._channels,
            "num_clips": len(self._names),
            "num_rows": self._rows,
            "splits": self.splits,
            "normalization": self.normalization,
            "provenance": self.provenance,
            "sha256": _sha256(self._folder / "joints.npy"),
        }
        with (self._folder / "meta.json").open("wb") as file:
            file.write(json.dumps(meta, indent=1, ensure_ascii=False).encode())
            _sync(file)
        _sync_folder(self._folder)
        self._publish()

    def _refuse_taken(self) -> None:
        if self.path.exists() and not self._overwrite:
            raise UserError(f"{self.path}: exists already; choose another path, or replace it with --overwrite")

    def _publish(self) -> None:
        self._refuse_taken()  # another writer may have been faster
        if self.path.exists():
            shutil.rmtree(self._old, ignore_errors=True)
            self.path.rename(self._old)
        self._folder.rename(self.path)
        _sync_folder(self.path.parent)
        shutil.rmtree(self._old, ignore_errors=True)

    def _write_header(self) -> None:
        """The header of joints.npy; NumPy leaves room in it for the first axis to grow."""
        self._file.seek(0)
        shape = (self._rows, self.layout.num_joints, self._channels)
        np.lib.format.write_array_header_1_0(self._file, {"descr": "<f4", "fortran_order": False, "shape": shape})


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


def _map_joints(file: Path, shape: tuple[int, int, int]) -> np.ndarray:
    try:
        joints = np.load(file, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{file}: is truncated, damaged or missing; convert again with --overwrite") from error
    size = joints.offset + joints.nbytes
    if joints.shape != shape or joints.dtype != np.float32 or file.stat().st_size != size:
        raise UserError(f"{file}: is not what meta.json tells of; convert again with --overwrite")
    return joints


def _remove_leftovers(path: Path) -> None:
    """Remove the work of writers of this path that were killed; a living one holds a lock."""
    for folder in path.parent.iterdir():
        if not (folder.name.startswith(f".{path.name}.") and folder.name.endswith(".partial")):
            continue
        lock = _lock(folder)
        if lock is not None or fcntl is None:
            shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder for as long as this process lives; None where that cannot be had."""
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by a living writer, or a file system without locks
        os.close(handle)
        return None
    return handle


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
