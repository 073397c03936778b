"""Writing an index: vectors and rows block by block, then everything that is made from them."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np

from ssl_skel.encoders.card import CARD, WEIGHTS
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import unit
from ssl_skel.files.folders import absolute
from ssl_skel.files.partial import PartialFolder
from ssl_skel.files.temporary import cannot_write, sync
from ssl_skel.retrieval.approximate import Approximate
from ssl_skel.retrieval.codes import write_codes
from ssl_skel.retrieval.index import (
    APPROXIMATE,
    CODES,
    ENCODER,
    FORMAT_VERSION,
    META,
    ROWS,
    VECTORS,
)
from ssl_skel.retrieval.kinds import KINDS, LANCE
from ssl_skel.retrieval.rows import row_type

_SECONDS_BETWEEN_NOTES = 5.0


class IndexWriter:
    """Takes vectors and rows block by block, into the folder of an index.

    Args:
        work: the folder, open; its entries say how far a killed writer came.
        dim: D.
        rows: type of the records.

    Attributes:
        type: of the records.
        done: rows that are written; after a kill, those that were.
    """

    def __init__(self, work: PartialFolder, dim: int, rows: np.dtype) -> None:
        self._work, self._dim, self.type = work, dim, rows
        there = all((work.folder / name).is_file() for name in (VECTORS, ROWS))
        self.done = int(work.entries[-1]["rows"]) if work.entries and there else 0
        self._noted = time.monotonic()

    def __enter__(self) -> Self:
        mode = "r+b" if self.done else "w+b"
        self._vectors, self._rows = ((self._work.folder / name).open(mode) for name in (VECTORS, ROWS))
        self._write_headers()
        for file, size in ((self._vectors, 4 * self._dim), (self._rows, self.type.itemsize)):
            end = file.tell() + self.done * size
            if file.seek(0, os.SEEK_END) < end:  # a disk that reported them as written and lost them
                raise UserError(f"{self._work.path}: what was written is not on the disk; run the same command again")
            file.truncate(end)
            file.seek(end)
        return self

    def add(self, vectors: np.ndarray, records: np.ndarray) -> None:
        """Write a block: vectors (S, D), of any length, and their records (S,).

        Raises:
            UserError: vectors hold NaN or infinity.
        """
        if not np.isfinite(vectors).all():
            raise UserError("the encoder gave NaN or infinity; its weights are damaged")
        self._vectors.write(unit(vectors).astype("<f4").tobytes())
        self._rows.write(records.tobytes())
        self.done += len(vectors)
        if time.monotonic() - self._noted > _SECONDS_BETWEEN_NOTES:
            self._note()

    def _note(self) -> None:
        sync(self._vectors)
        sync(self._rows)
        self._work.note({"rows": self.done})
        self._noted = time.monotonic()

    def _write_headers(self) -> None:
        """NumPy leaves room in them for the first axis to grow."""
        for file, dtype, shape in (
            (self._vectors, np.dtype("<f4"), (self.done, self._dim)),
            (self._rows, self.type, (self.done,)),
        ):
            file.seek(0)
            descr = np.lib.format.dtype_to_descr(dtype)
            np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._write_headers()
        elif issubclass(kind, KeyboardInterrupt):
            self._note()
        self._vectors.close()
        self._rows.close()


@contextmanager
def writing_index(
    path: Path | str,
    encoder: Path,
    facts: dict[str, Any],
    kind: str,
    *,
    overwrite: bool,
    inputs: Sequence[Path],
    progress: bool,
    key: str = "",
) -> Iterator[IndexWriter]:
    """A new index, to be written block by block; it appears at the end of the ``with`` block, whole or not at all.

    Args:
        path: folder to make.
        encoder: folder of the encoder, which is copied.
        facts: what ``meta.json`` says about encoder and clips.
        kind: an entry of ``KINDS``, ``flat`` (exact) or ``lance``.
        overwrite: replace an index that is there, after success.
        inputs: what the vectors are made from, which is never replaced.
        progress: show bars.
        key: identifies the work, so that what a killed writer left behind is continued; empty: never.

    Raises:
        UserError: the path is taken or cannot be written, or vectors hold NaN or infinity.
    """
    inputs = [*inputs, encoder]
    work = PartialFolder(absolute(path), overwrite=overwrite, kind="index", inputs=inputs, key=key)
    try:
        work.open()
        with IndexWriter(work, facts["dim"], row_type(facts["name_bytes"])) as writer:
            yield writer
        facts["rows"] = writer.done
        _finish(work.folder, encoder, facts, kind, progress)
        work.publish()
    except OSError as error:
        raise cannot_write(work.path, error) from error
    finally:
        work.close(keep=bool(key) and isinstance(sys.exception(), KeyboardInterrupt))


def _finish(folder: Path, encoder: Path, facts: dict[str, Any], kind: str, progress: bool) -> None:
    """Add the encoder, the codes, the faster search and ``meta.json`` to a folder with vectors and rows."""
    (folder / ENCODER).mkdir(exist_ok=True)
    for file in (WEIGHTS, CARD):
        shutil.copyfile(encoder / file, folder / ENCODER / file)
    files, search = [VECTORS, ROWS, CODES], None
    vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
    if kind == LANCE:
        search, files = _move_to_table(folder, vectors, progress), []
    else:
        write_codes(folder / CODES, vectors)
    if kind in KINDS:
        faster = Approximate.train(kind, vectors, progress=progress)
        search = vars(faster.tune(vectors)) | {"k": min(10, len(vectors) - 1)}
        faster.write(folder / APPROXIMATE)
        files.append(APPROXIMATE)
    sizes = {file: (folder / file).stat().st_size for file in files}
    meta = {"format": "motion index", "format_version": FORMAT_VERSION, "kind": kind, "search": search, "sizes": sizes}
    (folder / META).write_text(json.dumps(meta | dict(sorted(facts.items())), indent=1, ensure_ascii=False), "utf-8")


def _move_to_table(folder: Path, vectors: np.ndarray, progress: bool) -> dict[str, Any]:
    """Vectors and rows become a table; how it is searched."""
    from ssl_skel.retrieval.lance import FOLDER, LanceTable  # slow to import

    shutil.rmtree(folder / FOLDER, ignore_errors=True)  # of a writer that was killed
    rows = np.load(folder / ROWS, mmap_mode="r", allow_pickle=False)
    search = LanceTable.write(folder / FOLDER, vectors, rows, progress=progress).tune(vectors)
    for file in (VECTORS, ROWS):
        (folder / file).unlink()
    return search
