"""From an encoder and a store to an index."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.data.frame_rate import common_rate, to_frames
from ssl_skel.data.shards import check_shard, rows_of
from ssl_skel.data.store import Store
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.embedding.spans import spans
from ssl_skel.encoders.card import find_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.progress import progress as show_progress
from ssl_skel.retrieval.index import MotionIndex, encoder_hashes
from ssl_skel.retrieval.kinds import check_kind
from ssl_skel.retrieval.writing import IndexWriter, writing_index


def build_index(
    run: Path | str,
    store: Path | str,
    path: Path | str,
    *,
    kind: str = "flat",
    pooling: PoolingConfig | str | None = None,
    windows: Sequence[int | str] = (),
    stride: int | str | None = None,
    shard: tuple[int, int] = (1, 1),
    batch_size: int = 128,
    device: str = "auto",
    overwrite: bool = False,
    progress: bool = False,
) -> MotionIndex:
    """Embed a store's clips, or windows in them, and write the index, batch by batch.

    After a kill the same call goes on behind the last batches that are on the disk.

    Args:
        run: run directory or folder of the encoder.
        store: clips in the encoder's layout, normalised as its training clips were.
        path: folder to make; it appears only when whole.
        kind: ``flat`` (exact) or an entry of ``KINDS``.
        pooling: how frames and joints become a vector; default: as the encoder's card says.
        windows, stride: as for ``spans``; as text also in seconds, ``"2s"``. A window is normalised as if it had been
            recorded alone.
        shard: (i, n): only the i-th of n parts, from 1 on; ``merge_indexes`` joins them.
        batch_size: clips per step.
        device: where the encoder runs; see ``find_device``.
        overwrite: replace an existing index, after success.
        progress: show a bar.

    Raises:
        UserError: encoder, store and options do not fit, or the path is taken.
    """
    if batch_size < 1:
        raise UserError(f"--batch-size: must be at least 1, got {batch_size}")
    embedder = Embedder(run, pooling=pooling, device=device, batch_size=batch_size)
    clips = embedder.clips(Store.open(store))
    rate = common_rate(clips.fps)
    lengths = [to_frames(window, rate, "--window") for window in windows]
    step = None if stride is None else to_frames(stride, rate, "--stride")
    _check(lengths, step, shard)
    chosen = rows_of(spans(clips.frames, lengths, step), shard, clips.path)
    check_kind(kind, len(chosen))
    encoder = find_encoder(Path(run))
    facts = _facts(embedder, clips)
    facts |= {"windows": sorted(lengths), "stride": step, "encoder": encoder_hashes(encoder)}
    facts["stores"] = [{"path": str(store), "sha256": clips.sha256, "fps": rate, "names": _names(clips)}]
    if shard[1] > 1:
        facts["stores"][0]["part"] = list(shard)
    key = hashlib.sha256(json.dumps([facts, kind, shard, batch_size, len(chosen)]).encode()).hexdigest()
    with writing_index(
        path, encoder, facts, kind, overwrite=overwrite, inputs=[clips.path], progress=progress, key=key
    ) as writer:
        _embed(writer, embedder, clips, chosen, batch_size, progress)
    return MotionIndex.open(path)


def _embed(
    writer: IndexWriter, embedder: Embedder, clips: Store, chosen: np.ndarray, batch_size: int, progress: bool
) -> None:
    """Write the vectors of spans, behind those that are written."""
    blocks = range(writer.done, len(chosen), batch_size)
    hidden, total = not progress, -(-len(chosen) // batch_size)
    done = total - len(blocks)
    for at in show_progress(blocks, "index", total=total, initial=done, unit="batch", hidden=hidden, delay=1.0):
        block = chosen[at : at + batch_size]
        writer.add(embedder.encode_spans(clips, block), _records(clips, block, writer.type))


def _names(clips: Store) -> dict[str, dict[str, int]]:
    """Names of subjects and cameras, with their numbers in the store."""
    return {field: dict(clips.value_names.get(field, {})) for field in ("subject", "camera")}


def _check(windows: Sequence[int], stride: int | None, shard: tuple[int, int]) -> None:
    if any(window < 1 for window in windows):
        raise UserError("--window: counts frames from 1")
    if stride is not None and not windows:
        raise UserError("--stride: sets the distance between windows; give --window too")
    if stride is not None and stride < 1:
        raise UserError("--stride: counts frames from 1")
    check_shard(shard)


def _facts(embedder: Embedder, store: Store) -> dict[str, Any]:
    """What ``meta.json`` holds of encoder and clips."""
    how = embedder.normalization
    return {
        "layout": embedder.layout.to_dict(),
        "class_names": list(store.class_names),
        "normalization": how.model_dump(mode="json") | {"units": how.units},
        "conversions": [one.model_dump(mode="json") for one in store.conversions],
        "pooling": str(embedder.pooling),
        "dim": embedder.dim,
        "name_bytes": max(len(name.encode()) for name in store.name),
    }


def _records(store: Store, chosen: np.ndarray, kind: np.dtype) -> np.ndarray:
    """(S,) records of spans."""
    rows = np.zeros(len(chosen), kind)
    clip, rows["start"], rows["length"] = chosen.T
    rows["clip"], rows["name"] = clip, [name.encode() for name in store.name[clip].tolist()]
    for field in ("frames", "label", "subject", "camera", "content"):
        rows[field] = getattr(store, field)[clip]
    return rows
