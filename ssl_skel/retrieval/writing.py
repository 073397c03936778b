"""Writing an index: vectors and rows block by block, then everything that is made from them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.encoders.card import CARD, WEIGHTS
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import unit
from ssl_skel.files.partial import whole_folder
from ssl_skel.progress import progress as show_progress
from ssl_skel.retrieval.approximate import Approximate
from ssl_skel.retrieval.codes import Codes
from ssl_skel.retrieval.index import (
    APPROXIMATE,
    CODES,
    ENCODER,
    FORMAT_VERSION,
    META,
    ROWS,
    VECTORS,
    row_type,
)

Write = Callable[[np.ndarray, np.ndarray], None]
"""Writes a block of vectors (S, D), of any length, and their records (S,)."""


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
) -> Iterator[Write]:
    """A new index, to be written block by block; it appears at the end of the ``with`` block, whole or not at all.

    Args:
        path: folder to make.
        encoder: folder of the encoder, which is copied.
        facts: what ``meta.json`` says about encoder and clips.
        kind: ``flat`` (exact) or an entry of ``KINDS``.
        overwrite: replace an index that is there, after success.
        inputs: what the vectors are made from, which is never replaced.
        progress: show bars.

    Raises:
        UserError: the path is taken or cannot be written, or vectors hold NaN or infinity.
    """
    with whole_folder(Path(path), overwrite=overwrite, kind="index", inputs=[*inputs, encoder]) as folder:
        with _arrays(folder, facts) as write:
            yield write
        _finish(folder, encoder, facts, kind, progress)


@contextmanager
def _arrays(folder: Path, facts: dict[str, Any]) -> Iterator[Callable[[np.ndarray, np.ndarray], None]]:
    """Opens ``vectors.npy`` and ``rows.npy`` for blocks to be written one after another; notes how many came."""
    count, dim, kind = 0, facts["dim"], row_type(facts["name_bytes"])
    with (folder / VECTORS).open("wb") as vectors, (folder / ROWS).open("wb") as rows:

        def headers() -> None:  # NumPy leaves room in them for the first axis to grow
            for file, dtype, shape in ((vectors, np.dtype("<f4"), (count, dim)), (rows, kind, (count,))):
                file.seek(0)
                descr = np.lib.format.dtype_to_descr(dtype)
                np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})

        def write(block: np.ndarray, records: np.ndarray) -> None:
            nonlocal count
            if not np.isfinite(block).all():
                raise UserError("the encoder gave NaN or infinity; its weights are damaged")
            vectors.write(unit(block).astype("<f4").tobytes())
            rows.write(records.tobytes())
            count += len(block)

        headers()
        yield write
        headers()
    facts["rows"] = count


def _finish(folder: Path, encoder: Path, facts: dict[str, Any], kind: str, progress: bool) -> None:
    """Add the encoder, the codes, the faster search and ``meta.json`` to a folder with vectors and rows."""
    (folder / ENCODER).mkdir()
    for file in (WEIGHTS, CARD):
        shutil.copyfile(encoder / file, folder / ENCODER / file)
    files, search = [VECTORS, ROWS, CODES], None
    vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
    Codes.of(vectors).write(folder / CODES)
    if kind != "flat":
        faster = Approximate.train(kind, vectors, progress=progress)
        search = vars(faster.tune(vectors)) | {"k": min(10, len(vectors) - 1)}
        faster.write(folder / APPROXIMATE)
        files.append(APPROXIMATE)
    sizes = {file: (folder / file).stat().st_size for file in files}
    meta = {"format": "motion index", "format_version": FORMAT_VERSION, "kind": kind, "search": search, "sizes": sizes}
    (folder / META).write_text(json.dumps(meta | facts, indent=1, ensure_ascii=False), "utf-8")


def progress_bar(blocks: list[np.ndarray], title: str, progress: bool) -> Iterable[np.ndarray]:
    """Blocks to go through, with a bar if requested and if it takes longer than a second."""
    return show_progress(blocks, title, unit="batch", hidden=not progress, delay=1.0)
