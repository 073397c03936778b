"""Writes a store: clip by clip, whole or not at all; a writer that was killed can be continued."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import numpy as np

from ssl_skel.data.clip import RawClip, check_text, content_hash
from ssl_skel.data.clip_columns import ALL_COLUMNS, COLUMNS, write_columns
from ssl_skel.data.meta import DTYPES, FORMAT_VERSION, Dtype, Meta, Provenance
from ssl_skel.data.normalize import NormalizeConfig, record
from ssl_skel.data.store import hash_file
from ssl_skel.data.written_clips import WrittenClips
from ssl_skel.errors import UserError
from ssl_skel.files.folders import absolute
from ssl_skel.files.partial import PartialFolder
from ssl_skel.files.temporary import cannot_write, sync
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.names import unknown


class StoreWriter:
    """Writes a store; it appears under its name only when whole.

    Work is done in a hidden folder beside it (``PartialFolder``), which is renamed on a clean exit of the ``with``
    block and removed on an error. What a killed writer left behind is removed by the next one for the same path; with
    the same ``key`` it is continued from the last ``checkpoint``. Ctrl-C leaves it like a kill.

    Args:
        path: folder to make.
        layout, class_names, splits, value_names: as in ``Store`` and ``ssl_skel.data.splits``.
        provenance, normalization: as in ``Store``.
        overwrite: replace a store of that name, after success.
        inputs: what the clips are read from, which is never replaced.
        dtype: of the coordinates, an entry of ``DTYPES``.
        key: identifies the work, so that what was left behind can be continued; empty: never.

    Attributes:
        provenance, normalization, filled, value_names: as in ``Store``; recorded with their values on exit.
        records: name -> content of further JSON files beside ``meta.json``.
        resumed: the notes of the checkpoints that were found, oldest first.

    Raises:
        UserError: the path is taken, or is not a place for a store.
    """

    def __init__(
        self,
        path: Path | str,
        layout: SkeletonLayout,
        class_names: Sequence[str],
        *,
        splits: Mapping[str, Any] | None = None,
        value_names: Mapping[str, Mapping[str, int]] | None = None,
        provenance: Provenance | None = None,
        normalization: NormalizeConfig | None = None,
        overwrite: bool = False,
        inputs: Sequence[Path] = (),
        dtype: str = "float32",
        key: str = "",
    ) -> None:
        self.path = absolute(path)
        self.layout, self.class_names, self.splits = layout, tuple(class_names), dict(splits or {})
        self.value_names = value_names or {}
        self.provenance, self.normalization, self.filled = provenance or Provenance(), normalization, 0
        self._partial = PartialFolder(self.path, overwrite=overwrite, kind="store", inputs=inputs, key=key)
        if dtype not in DTYPES:
            raise unknown("dtype", dtype, DTYPES)
        for name in self.class_names:
            check_text(name, f"{self.path}: name of a class")
        self._dtype = cast("Dtype", dtype)
        self._rows, self._channels = 0, 0
        self._noted = False
        self.resumed: list[Any] = []
        self.records: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            self._partial.open()
            file = self._partial.folder / "joints.npy"
            self._file: BinaryIO = file.open("r+b" if self._partial.entries else "w+b")
            self._clips = WrittenClips(self._partial.folder)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._resume()
        return self

    def checkpoint(self, note: Any) -> None:
        """Have all clips so far on the disk, with a note (ready for JSON) of what they stand for."""
        sync(self._file)
        entry = {"rows": self._rows, "channels": self._channels, "there": self._clips.sync(), "note": note}
        self._partial.note(entry)
        self._noted = True

    def _resume(self) -> None:
        """Go back to the last checkpoint, if all that was written by then is there."""
        if not self._partial.entries:
            self._clips.go_back_to(clips=0, bytes=0)
            return
        last = self._partial.entries[-1]
        self._rows, self._channels = last["rows"], last["channels"]
        self._write_header()
        width = self.layout.num_joints * self._channels * np.dtype(DTYPES[self._dtype]).itemsize
        end = self._file.tell() + self._rows * width
        if self._file.seek(0, os.SEEK_END) < end or not self._clips.go_back_to(**last["there"]):
            self._partial.restart()  # a disk that reported them as written and lost them
            self._clips.go_back_to(clips=0, bytes=0)
            self._rows = self._channels = end = 0
        self._file.truncate(end)
        self._file.seek(end)
        self.resumed = [entry["note"] for entry in self._partial.entries]
        self._noted = bool(self.resumed)

    @property
    def clips(self) -> int:
        """How many were written."""
        return len(self._clips)

    def add(self, clip: RawClip, content: int | None = None) -> None:
        """Append a clip.

        Args:
            clip: joints (M, T, V, C) with nothing missing, normalised as all others.
            content: ``content_hash`` of the recording before normalisation; default: of this one.

        Raises:
            UserError: a name that is taken, a label without a class, a wrong shape, missing values, or
                values that the dtype cannot hold.
        """
        joints = np.ascontiguousarray(clip.joints, np.float32)
        channels = self._channels or (joints.shape[-1] if joints.ndim == 4 else 3)
        if joints.ndim != 4 or 0 in joints.shape or joints.shape[2:] != (self.layout.num_joints, channels):
            wanted = f"(persons, frames, {self.layout.num_joints}, {channels})"
            raise UserError(f"clip {clip.name!r}: joints have shape {joints.shape}; expected {wanted}")
        if not np.isfinite(joints).all():
            raise UserError(f"clip {clip.name!r}: holds NaN or infinity; fill missing joints first")
        if clip.name in self._clips:
            raise UserError(f"clip {clip.name!r}: the name is taken; give each clip its own")
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
        row: dict[str, float] = {
            "offset": self._rows,
            "frames": joints.shape[1],
            "persons": joints.shape[0],
            "content": content_hash(clip.joints) if content is None else content,
            "fps": float(clip.fps),
        }
        row |= {column: int(getattr(clip, column)) for column in COLUMNS if column not in row}
        self._clips.add(clip.name, row)
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
                self._clips.close()
            stopped = kind is not None and not issubclass(kind, Exception)  # Ctrl-C; nothing was amiss
            self._partial.close(keep=stopped and self._noted)

    def _finish(self) -> None:
        if not self.clips:
            raise UserError(f"{self.path}: no clip was written; check the source")
        self._write_header()
        self._file.close()
        meta = Meta(
            layout=self.layout.to_dict(),
            class_names=self.class_names,
            channels=self._channels,
            dtype=self._dtype,
            num_clips=self.clips,
            num_rows=self._rows,
            splits=self.splits,
            value_names={column: dict(names) for column, names in self.value_names.items()},
            normalization=record(self.normalization, self.filled),
            provenance=self.provenance,
            sha256=hash_file(self._partial.folder / "joints.npy"),
        )
        describe_store(self._partial.folder, meta, self._clips.columns(), self.records)
        self._clips.close(remove=True)
        self._partial.publish()

    def _write_header(self) -> None:
        """The header of joints.npy; NumPy leaves room in it for the first axis to grow."""
        write_header(self._file, self._dtype, (self._rows, self.layout.num_joints, self._channels))


def write_header(file: BinaryIO, dtype: Dtype, shape: tuple[int, int, int]) -> None:
    """The header of ``joints.npy``, always as long, whatever the first axis."""
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, {"descr": DTYPES[dtype], "fortran_order": False, "shape": shape})


def describe_store(
    folder: Path,
    meta: Meta,
    columns: Mapping[str, tuple[np.dtype, Iterable[np.ndarray]]],
    records: Mapping[str, Any],
) -> None:
    """Add everything else to a folder with ``joints.npy``.

    Args:
        folder: of the store.
        meta: contents of ``meta.json``.
        columns: of the clips, as for ``write_columns``.
        records: name -> content of further JSON files.
    """
    with (folder / "clips.npz").open("wb") as file:
        write_columns(file, meta.num_clips, {column: columns[column] for column in ALL_COLUMNS})
    written = {"format_version": FORMAT_VERSION} | meta.model_dump(mode="json", exclude={"provenance"})
    written["provenance"] = meta.provenance.to_dict()
    for name, content in {**records, "meta": written}.items():
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_bytes(text.encode(errors="replace"))  # names of files may be no Unicode
