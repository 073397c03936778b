"""From an encoder and a store to an index; from parts of an index to the whole."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ssl_skel.data.normalize import NormalizeConfig, require_normalization
from ssl_skel.data.sources.recordings import read_recordings, store_of
from ssl_skel.data.store import Store
from ssl_skel.embedding.features import extract_features, find_device, whole_clips
from ssl_skel.encoders.card import CARD, WEIGHTS, EncoderCard
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.files import load_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import unit
from ssl_skel.files.partial import whole_folder
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
    MotionIndex,
    cut,
    encoder_hashes,
    row_type,
)
from ssl_skel.retrieval.kinds import check_kind
from ssl_skel.retrieval.spans import spans

_IDENTITY = ("layout", "class_names", "normalization", "pooling", "encoder", "dim")
_BLOCK = 1 << 14  # rows copied at once


def build_index(
    run: Path | str,
    store: Path | str,
    path: Path | str,
    *,
    kind: str = "flat",
    pooling: PoolingConfig | str | None = None,
    windows: Sequence[int] = (),
    stride: int | None = None,
    shard: tuple[int, int] = (1, 1),
    batch_size: int = 128,
    device: str = "auto",
    overwrite: bool = False,
    progress: bool = False,
) -> MotionIndex:
    """Embed a store's clips, or windows in them, and write the index, batch by batch.

    Args:
        run: run directory or folder of the encoder.
        store: clips in the encoder's layout, normalised as its training clips were.
        path: folder to make; it appears only when whole.
        kind: ``flat`` (exact) or a row of ``KINDS``.
        pooling: how frames and joints become a vector; default: as the encoder's card says.
        windows, stride: as for ``spans``. A window is normalised as if it had been recorded alone.
        shard: (i, n): only the i-th of n parts, from 1 on; ``merge_indexes`` joins them.
        batch_size: clips a step.
        device: where the encoder runs; see ``find_device``.
        overwrite: replace what is there, after success.
        progress: show a bar.

    Raises:
        UserError: encoder, store and options do not fit, or the path is taken.
    """
    folder = Path(run) if (Path(run) / CARD).exists() else Path(run) / "encoder"
    encoder, card = load_encoder(folder, pooling)
    clips = _fitting(Path(store), encoder, card)
    _check(windows, stride, shard, batch_size)
    part, parts = shard
    chosen = np.array_split(spans(clips.frames, windows, stride), parts)[part - 1]
    if not len(chosen):
        raise UserError(f"--shard {part}/{parts}: is empty; {clips.path} needs fewer parts")
    check_kind(kind, len(chosen))
    how = require_normalization(card.normalization, str(folder / CARD))
    facts = _facts(encoder, clips, how)
    facts |= {"windows": sorted(windows), "stride": stride, "encoder": encoder_hashes(folder)}
    facts["stores"] = [{"path": str(store), "sha256": clips.sha256}]
    records = _records(clips, chosen, row_type(facts["name_bytes"]))
    place = find_device(device)
    encoder.to(place)
    blocks = [chosen[at : at + batch_size] for at in range(0, len(chosen), batch_size)]
    with whole_folder(Path(path), overwrite=overwrite) as made:
        with _arrays(made, facts) as write:
            for number, block in enumerate(_bar(blocks, "index", progress)):
                vectors = _embed(encoder, clips, block, how, place)
                write(vectors, records[number * batch_size : number * batch_size + len(block)])
        _finish(made, folder, facts, kind, progress)
    return MotionIndex.open(path)


def merge_indexes(
    parts: Sequence[Path], path: Path | str, *, kind: str = "flat", overwrite: bool = False, progress: bool = False
) -> MotionIndex:
    """Join indexes that several machines built: shards of one store, or indexes of several stores.

    Rows are ordered by store, clip, start and length, so that the parts of one store give the index that one machine
    would have built.

    Args:
        parts: folders of indexes.
        path: folder to make.
        kind: of the whole; those of the parts do not matter.
        overwrite: replace what is there, after success.
        progress: show a bar.

    Raises:
        UserError: parts of different encoders, layouts, classes, normalisations or poolings, the same clip or window
            in two of them, or a path that is taken.
    """
    if not parts:
        raise UserError("merge-index: give the indexes to join")
    opened = [MotionIndex.open(part) for part in parts]
    first = opened[0]
    first.check_encoder()
    for other in opened[1:]:
        for field in _IDENTITY:
            if other.meta[field] != first.meta[field]:
                raise UserError(f"{other.path}: {field}: differs from that of {first.path}; build both alike")
    check_kind(kind, sum(map(len, opened)))
    stores = list({store["sha256"]: store for index in opened for store in index.meta["stores"]}.values())
    number = {store["sha256"]: at for at, store in enumerate(stores)}
    width = max(index.meta["name_bytes"] for index in opened)
    rows = np.concatenate([np.asarray(index.rows).astype(row_type(width)) for index in opened])
    rows["store"] = np.concatenate(
        [np.array([number[s["sha256"]] for s in index.meta["stores"]])[index.rows["store"]] for index in opened]
    )
    keys = [rows[field] for field in ("length", "start", "clip", "store")]
    order = np.lexsort(keys)
    same = np.all([key[order[1:]] == key[order[:-1]] for key in keys], axis=0)
    if same.any():
        row = rows[order[1:][same][0]]
        what = f"clip {row['name'].decode()!r}, frames {row['start']} to {row['start'] + row['length']},"
        raise UserError(f"merge-index: {what} is in two of the parts; leave one of them out")
    windows = sorted({window for index in opened for window in index.meta["windows"]})
    facts = {**{field: first.meta[field] for field in _IDENTITY}, "windows": windows, "stride": first.meta["stride"]}
    facts |= {"stores": stores, "name_bytes": width}
    edges = np.cumsum([0, *map(len, opened)])
    with whole_folder(Path(path), overwrite=overwrite) as made:
        with _arrays(made, facts) as write:
            blocks = [order[at : at + _BLOCK] for at in range(0, len(order), _BLOCK)]
            for block in _bar(blocks, "merge", progress):
                vectors = np.empty((len(block), first.vectors.shape[1]), np.float32)
                owner = np.searchsorted(edges, block, side="right") - 1
                for at, index in enumerate(opened):
                    vectors[owner == at] = index.vectors[block[owner == at] - edges[at]]
                write(vectors, rows[block])
        _finish(made, first.path / ENCODER, facts, kind, progress)
    return MotionIndex.open(path)


def _fitting(path: Path, encoder: SkeletonEncoder, card: EncoderCard) -> Store:
    """The store, if it is one that the encoder can be fed."""
    store = read_recordings(Store.open(path).path, encoder.layout, card.normalization)
    if store.channels != encoder.backbone.channels:
        raise UserError(f"{path}: has {store.channels} coordinates, the encoder takes {encoder.backbone.channels}")
    return store


def _check(windows: Sequence[int], stride: int | None, shard: tuple[int, int], batch_size: int) -> None:
    if any(window < 1 for window in windows):
        raise UserError("--window: counts frames from 1")
    if stride is not None and not windows:
        raise UserError("--stride: says how windows follow each other; give --window too")
    if stride is not None and stride < 1:
        raise UserError("--stride: counts frames from 1")
    if not 1 <= shard[0] <= shard[1]:
        raise UserError(f"--shard {shard[0]}/{shard[1]}: counts parts from 1, as in 1/4 to 4/4")
    if batch_size < 1:
        raise UserError(f"--batch-size: must be at least 1, got {batch_size}")


def _facts(encoder: SkeletonEncoder, store: Store, how: NormalizeConfig) -> dict[str, Any]:
    """What ``meta.json`` tells of encoder and clips."""
    return {
        "layout": encoder.layout.to_dict(),
        "class_names": list(store.class_names),
        "normalization": how.model_dump(mode="json") | {"units": how.units},
        "pooling": str(encoder.pooling.config),
        "dim": encoder.dim,
        "name_bytes": max(len(name.encode()) for name in store.name.tolist()),
    }


def _records(store: Store, chosen: np.ndarray, kind: np.dtype) -> np.ndarray:
    """(S,) records of spans."""
    rows = np.zeros(len(chosen), kind)
    clip, rows["start"], rows["length"] = chosen.T
    rows["clip"], rows["name"] = clip, np.array([name.encode() for name in store.name.tolist()], kind["name"])[clip]
    for field in ("frames", "label", "subject", "camera", "content"):
        rows[field] = getattr(store, field)[clip]
    return rows


def _embed(
    encoder: SkeletonEncoder, store: Store, block: np.ndarray, how: NormalizeConfig, device: torch.device
) -> np.ndarray:
    """Vectors of a batch of spans."""
    frames = encoder.backbone.num_frames
    clip, _, length = block.T
    # A store that lies on an accelerator already would be of no use here: each batch has a loader of its own.
    if (length == store.frames[clip]).all():
        loader = whole_clips(store, clip, num_frames=frames, batch_size=len(block), device=device, resident="never")
    else:
        parts = store_of([cut(store, at, start, size, how) for at, start, size in block.tolist()], store.layout)
        loader = whole_clips(parts, num_frames=frames, batch_size=len(block), device=device, resident="never")
    return extract_features(encoder, loader)


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


def _bar(blocks: list[np.ndarray], title: str, progress: bool) -> Iterable[np.ndarray]:
    pause = 0.1 if sys.stderr.isatty() else 30.0
    return tqdm(blocks, title, unit="batch", disable=not progress, delay=1.0, mininterval=pause)
