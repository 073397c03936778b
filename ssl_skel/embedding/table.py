"""Features of every clip of a store as one table, for other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.data.shards import check_shard, rows_of
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.embedding.embedder import Embedder, Precision
from ssl_skel.embedding.outputs import check_table
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.files.atomic import replacing

COLUMNS = ("name", "label", "subject", "camera", "setup", "replication")


def embed(
    run: Path,
    source: Path,
    out: Path,
    *,
    format: str = "",
    options: Sequence[str] = (),
    pooling: PoolingConfig | str | None = None,
    split: str = "",
    shard: tuple[int, int] = (1, 1),
    batch_size: int = 128,
    precision: Precision = "no",
    device: str = "auto",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write features with what is known about each clip.

    An ``.npz`` holds ``features`` (N, D) float32 and the columns ``name``, ``label``, ``subject`` and so on, ``side``
    ("train", "test" or "") where a split is named, and ``meta``, JSON; a ``.parquet`` table the same, features as one
    column of lists and ``meta`` in its schema.

    Args:
        run: run directory, or a folder with an encoder.
        source: a store of the encoder's layout and normalisation, or raw recordings.
        out: file to write.
        format, options: of raw recordings; see ``Embedder.clips``.
        pooling: how frames and joints become one vector; default: as the encoder's card says.
        split: adds each clip's side of it.
        shard: (i, n): only the i-th of n parts of the clips, from 1 on. A folder of such ``.parquet`` files is one
            table to pyarrow, pandas and polars.
        batch_size: clips per step.
        precision: of the encoder; ``no`` is float32.
        device: where the encoder runs; see ``find_device``.
        overwrite: replace ``out``.

    Returns:
        file, clips, dim.

    Raises:
        UserError: an encoder, store, split, part or file that does not fit, or a missing package.
    """
    check_table(out, overwrite, source)
    check_shard(shard)
    embedder = Embedder(run, pooling=pooling, device=device, batch_size=batch_size, precision=precision)
    store = embedder.clips(source, format, options=options)
    rows = rows_of(np.arange(len(store)), shard, source)
    columns = {name: getattr(store, name) for name in COLUMNS} | ({"side": _sides(store, split)} if split else {})
    columns = {name: values[rows] for name, values in columns.items()}
    features = embedder.features(store, rows, progress=True)
    facts = {"run": str(run), "source": str(source), "sha256": store.sha256, "pooling": str(embedder.pooling)}
    if shard[1] > 1:
        facts["part"] = "/".join(map(str, shard))
    meta = json.dumps(facts | {"class_names": store.class_names, "card": embedder.card.model_dump(mode="json")})
    _write(out, features, columns, meta)
    return {"file": str(out), "clips": len(features), "dim": embedder.dim}


def _sides(store: Store, name: str) -> np.ndarray:
    split, sides = load_split(store, name), np.full(len(store), "", "U5")
    sides[split.train], sides[split.test] = "train", "test"
    return sides


def _write(out: Path, features: np.ndarray, columns: dict[str, np.ndarray], meta: str) -> None:
    with replacing(out) as file:
        if out.suffix == ".npz":
            np.savez(file, allow_pickle=False, features=features, meta=np.array(meta), **columns)
        else:
            import pyarrow
            import pyarrow.parquet

            vectors = pyarrow.FixedSizeListArray.from_arrays(features.ravel(), features.shape[1])
            table = pyarrow.table({name: values.tolist() for name, values in columns.items()} | {"features": vectors})
            pyarrow.parquet.write_table(table.replace_schema_metadata({"ssl_skel": meta}), file)
