"""``clips.npz`` of a store: a number or a name for each clip, in columns.

It is an archive of NumPy without compression. Its arrays begin at multiples of 64 bytes, so that the columns of a large
store are mapped instead of read: a billion frames are 15 million clips, and 2.5 GB of columns for every process.
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ssl_skel.data.mapped import map_copy_on_write
from ssl_skel.data.npz_members import DAMAGE, member_names, read_columns, read_header
from ssl_skel.errors import UserError

LATER_COLUMNS = ("recording",)
"""Columns that stores of the first releases lack; -1 there."""
COLUMNS = ("offset", "frames", "persons", "label", "subject", "camera", "setup", "replication", *LATER_COLUMNS)
"""Whole numbers; ``fps``, ``name`` and ``content`` have types of their own."""
ALL_COLUMNS = ("name", "content", "fps", *COLUMNS)
"""In the order of the archive."""
READ_WHOLE = 32 << 20
"""Bytes of an archive up to which it is read, with its checksums, and checked at once. Larger ones are mapped, and
checked when a column is first used."""
BLOCK = 1 << 18
"""Clips at once."""
_ALIGNED = 64
_FIXED, _ZIP64, _PADDING = 30, 20, 4  # bytes in front of a member: of its record, of two fields of it
_PADDING_FIELD = 0xD935  # a field of this number only aligns what follows; Android's builds use it too


def write_columns(file: BinaryIO, count: int, columns: Mapping[str, tuple[np.dtype, Iterable[np.ndarray]]]) -> None:
    """Write an archive, block by block.

    Args:
        file: at its start.
        count: N, clips.
        columns: name -> type and blocks, (N,) together.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, (dtype, blocks) in columns.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # of 1980, so that equal columns are equal bytes
            begin = file.tell() + _FIXED + len(entry.filename) + _ZIP64 + _PADDING
            size = -begin % _ALIGNED
            entry.extra = struct.pack("<HH", _PADDING_FIELD, size) + bytes(size)
            with archive.open(entry, "w", force_zip64=True) as member:
                descr = np.lib.format.dtype_to_descr(dtype)
                header = {"descr": descr, "fortran_order": False, "shape": (count,)}
                np.lib.format.write_array_header_1_0(member, header)
                for block in blocks:
                    member.write(block.astype(dtype, copy=False).tobytes())


def open_columns(file: Path) -> tuple[dict[str, np.ndarray], bool]:
    """All columns, and whether they were read, with their checksums; otherwise they are mapped.

    Raises:
        UserError: the archive is damaged.
    """
    try:
        there = set(member_names(file))
        later = (*LATER_COLUMNS, "fps")
        wanted = [name for name in ALL_COLUMNS if name in there or name not in later]
        size = file.stat().st_size
        mapped = _map(file, wanted) if size > READ_WHOLE else None
        data = mapped or read_columns(file, wanted, most=size)  # it is not compressed
        unknown = np.full(data["label"].shape, -1) if len(wanted) < len(ALL_COLUMNS) else data["label"]
        columns = {column: data.get(column, unknown).astype(np.int64, casting="safe", copy=False) for column in COLUMNS}
        fps = data.get("fps", np.zeros(unknown.shape))
        columns["fps"] = fps.astype(np.float64, casting="safe", copy=False)
        columns["name"] = data["name"].astype(np.str_, casting="safe", copy=False)
        columns["content"] = data["content"].astype(np.uint64, casting="safe", copy=False)
    except (*DAMAGE, struct.error, TypeError, UserError) as error:
        raise damaged(file) from error
    shapes = {values.shape for values in columns.values()}
    if len(shapes) > 1 or columns["name"].ndim != 1:
        raise UserError(f"{file}: its columns differ in length; convert again with --overwrite")
    return columns, mapped is None


def check_columns(file: Path, columns: Mapping[str, np.ndarray], rows: int, classes: int) -> None:
    """Refuse columns that do not describe F rows of joints, block by block.

    Args:
        file: that they are from.
        columns: as ``open_columns`` returns them.
        rows: F.
        classes: number of class names.

    Raises:
        UserError: they do not fit.
    """
    count, at = len(columns["name"]), 0
    for begin in range(0, count, BLOCK):
        block = {name: values[begin : begin + BLOCK] for name, values in columns.items()}
        frames, persons = block["frames"], block["persons"]
        sound = (frames > 0).all() and (persons > 0).all() and (frames <= rows // persons).all()
        length = persons * frames if sound else frames
        whole = (
            sound
            and np.array_equal(block["offset"], at + np.cumsum(length) - length)
            and (np.isfinite(block["fps"]) & (block["fps"] >= 0)).all()
            and (block["label"] >= -1).all()
            and (block["label"] < classes).all()
        )
        if not whole:
            at = -1
            break
        if not _is_text(block["name"]):
            raise damaged(file)
        at += int(length.sum())
    if at != rows or not count:
        raise UserError(f"{file}: does not fit the rest of the store; convert again with --overwrite")


def damaged(file: Path) -> UserError:
    """For an archive that cannot be read."""
    return UserError(f"{file}: is damaged or missing; convert again with --overwrite")


def blocks_of(values: np.ndarray, size: int = BLOCK) -> Iterator[np.ndarray]:
    """A column, cut into blocks."""
    return (values[at : at + size] for at in range(0, len(values), size))


def _is_text(names: np.ndarray) -> bool:
    """Whether names can be written as UTF-8: no half of a surrogate pair, nothing beyond Unicode."""
    letters = np.ascontiguousarray(names, names.dtype.newbyteorder("<")).view("<u4")
    return not ((letters >> 11 == 0xD800 >> 11) | (letters > 0x10FFFF)).any()


def _map(file: Path, names: Iterable[str]) -> dict[str, np.ndarray] | None:
    """Members of an archive, mapped; None if one of them cannot be, as in stores that other releases wrote.

    Raises:
        DAMAGE: the archive is damaged.
    """
    mapping = map_copy_on_write(file)
    found = {}
    with zipfile.ZipFile(file) as archive:
        for name in names:
            entry = archive.getinfo(f"{name}.npy")
            local = struct.unpack_from("<4s22xHH", mapping, entry.header_offset)
            begin = entry.header_offset + _FIXED + local[1] + local[2]
            with archive.open(entry) as stream:
                shape, fortran, dtype = read_header(stream)
                begin += stream.tell()
            whole = begin + math.prod(shape) * dtype.itemsize <= len(mapping) and local[0] == b"PK\3\4"
            if fortran or dtype.hasobject or not whole:
                raise ValueError(f"{name}: is damaged")
            if entry.compress_type != zipfile.ZIP_STORED or begin % dtype.alignment:
                return None
            found[name] = np.ndarray(shape, dtype, mapping, begin)
    return found
