"""The index on disk: vectors of clips, or of windows inside them, and where these are.

One folder that can be moved anywhere::

    vectors.npy   (N, D) float32 of length 1, memory-mapped: the truth
    rows.npy      (N,) records, memory-mapped: where each vector's frames are, see ``row_type``
    codes.safetensors  8 bits a number, by which exact search rules most vectors out, see ``Codes``
    meta.json     layout, class names, normalisation, pooling, stores, kind of search and its measured recall,
                  sha256 of the encoder's files, sizes of all others, format version
    encoder/      a copy of the encoder; queries pass through this one only
    faiss.index   only where the search is approximate; made from the vectors
    lance/        only for a search past memory: vectors and rows as a table, in place of the files above

Opening reads ``meta.json`` and two headers, and needs neither torch nor faiss.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from ssl_skel.config import parse_config
from ssl_skel.data.adapted import adapted_clip, needs_adapting
from ssl_skel.data.conversion import Conversion
from ssl_skel.data.frame_rate import common_rate
from ssl_skel.data.mapped import map_array
from ssl_skel.data.normalize import NormalizeConfig, parse_normalization, require_normalization
from ssl_skel.data.store import Store
from ssl_skel.embedding.spans import cut
from ssl_skel.encoders.card import CARD, WEIGHTS
from ssl_skel.encoders.pooling_config import FORMER_TEXTS, PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import unit
from ssl_skel.files.folders import restore
from ssl_skel.layouts import SkeletonLayout, parse_layout
from ssl_skel.plain_json import parse_json
from ssl_skel.retrieval.conditions import Condition
from ssl_skel.retrieval.kinds import KINDS, LANCE
from ssl_skel.retrieval.rows import check_rows, row_type

if TYPE_CHECKING:
    from ssl_skel.embedding.embedder import Embedder
    from ssl_skel.retrieval.approximate import Approximate
    from ssl_skel.retrieval.codes import Codes
    from ssl_skel.retrieval.lance import LanceTable, Selection
    from ssl_skel.retrieval.spread import Spread

    Rows: TypeAlias = np.ndarray | Selection
else:
    Rows = Any
"""Rows to search among: numbers, ascending, or a selection of a table."""

FORMAT_VERSION = 2
VECTORS, ROWS, CODES, APPROXIMATE = "vectors.npy", "rows.npy", "codes.safetensors", "faiss.index"
META, ENCODER = "meta.json", "encoder"
_AGAIN = "build the index again with --overwrite"


@dataclass(frozen=True, eq=False)
class MotionIndex:
    """An open index.

    Attributes:
        path: its folder.
        layout: joints that queries must have.
        class_names: one per label.
        meta: contents of ``meta.json``.
        vectors: (N, D) float32 of length 1 (or 0), memory-mapped.
        rows: (N,) records of ``row_type``, memory-mapped; ascending by store, clip, start, length.
        device: where the encoder runs; see ``find_device``.
        table: vectors and rows of an index past memory; the two attributes then read what is chosen of them.
    """

    path: Path
    layout: SkeletonLayout
    class_names: tuple[str, ...]
    meta: dict[str, Any]
    vectors: np.ndarray
    rows: np.ndarray
    device: str = "auto"
    table: LanceTable | None = None

    @classmethod
    def open(cls, path: Path | str, device: str = "auto", database: str = "") -> MotionIndex:
        """Open an index without reading its vectors; takes milliseconds.

        Args:
            path: its folder.
            device: where the encoder runs; see ``find_device``.
            database: of an index of kind ``lance``, where it is not in the folder: a path, or ``s3://bucket/path``.

        Raises:
            UserError: no index there, another format version, or damage.
        """
        path = Path(path)
        meta = _read_meta(path / META)
        try:
            layout = parse_layout(meta["layout"], f"{path / META}: layout")
            names, count, dim = tuple(meta["class_names"]), int(meta["rows"]), int(meta["dim"])
            sizes = {str(file): int(size) for file, size in meta["sizes"].items()}
            row = row_type(int(meta["name_bytes"]))
            past_memory = meta["kind"] == LANCE
            known = meta["kind"] == "flat" or ((meta["kind"] in KINDS or past_memory) and meta["search"]["effort"] > 0)
            _normalization(meta, path)
            _conversions(meta, path)
            known = known and all(isinstance(name, str) for name in names)
            whole = (
                known
                and {WEIGHTS, CARD} == set(meta["encoder"])
                and (past_memory or {VECTORS, ROWS, CODES} <= set(sizes))
            )
            for store in meta["stores"]:
                str(store["path"]), str(store["sha256"]), float(store.get("fps", 0))
                _, _ = map(int, store.get("part", (1, 1)))
                [int(number) for names in store.get("names", {}).values() for number in names.values()]
            PoolingConfig.of(meta["pooling"], f"{path / META}: pooling")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path / META}: is damaged ({error!r}); {_AGAIN}") from error
        if not whole:
            raise UserError(f"{path / META}: is damaged; {_AGAIN}")
        if past_memory:
            from ssl_skel.retrieval.lance import FOLDER, LanceTable  # slow to import

            check = partial(check_rows, path / FOLDER, stores=len(meta["stores"]), classes=len(names))
            table = LanceTable(database or str(path / FOLDER), row, dim, count, check)
            vectors, rows = cast("np.ndarray", table.vectors), cast("np.ndarray", table.records)  # read like these
            return cls(path, layout, names, meta, vectors, rows, device, table)
        for file in (VECTORS, ROWS, CODES, *([APPROXIMATE] if meta["kind"] != "flat" else [])):
            _check_size(path / file, sizes.get(file, -1))
        vectors = map_array(path / VECTORS, (count, dim), np.dtype("<f4"), _AGAIN, "r")
        rows = map_array(path / ROWS, (count,), row, _AGAIN, "r")
        check_rows(path / ROWS, rows, len(meta["stores"]), len(names))
        return cls(path, layout, names, meta, vectors, rows, device)

    def __len__(self) -> int:
        """N, vectors."""
        return len(self.vectors)

    @property
    def normalization(self) -> NormalizeConfig:
        """What was done to each clip and each window."""
        return _normalization(self.meta, self.path)

    @property
    def conversions(self) -> tuple[Conversion, ...]:
        """How recordings became its clips, as far as it is recorded; raw queries are converted the same way."""
        return _conversions(self.meta, self.path)

    def fps(self, row: int) -> float:
        """Frames a second of a row's clip; 0 if its store has several rates, or does not say."""
        return self._rates[int(self.rows["store"][row])]

    @property
    def common_fps(self) -> float:
        """Frames a second of all clips; 0 where they are unknown or differ."""
        return common_rate(np.array(self._rates))

    @cached_property
    def _rates(self) -> list[float]:
        """Frames a second of each store."""
        return [float(store.get("fps", 0.0)) for store in self.meta["stores"]]

    @property
    def windows(self) -> bool:
        """Whether long clips were cut into windows."""
        return bool(self.meta["windows"])

    def require_arrays(self, what: str) -> None:
        """Refuse an index past memory for work that goes through all its rows.

        Raises:
            UserError: its vectors are a table.
        """
        if self.table is not None:
            raise UserError(
                f"{self.path}: {what} reads all vectors, and kind lance is for more than memory holds; use flat"
            )

    def select(self, conditions: Sequence[Condition]) -> Rows:
        """Rows that meet all conditions, ascending, or those of a table."""
        if self.table is not None:
            return self.table.select(conditions)
        return np.flatnonzero(np.logical_and.reduce([one.mask(self.rows) for one in conditions]))

    def named(self, name: str) -> np.ndarray:
        """Rows of the clips of a name, ascending."""
        return self.table.named(name) if self.table else np.flatnonzero(self.rows["name"] == name.encode())

    def names(self, most: int) -> list[str]:
        """Names of the clips of the first rows."""
        return self.table.names(most) if self.table else [self.name(row) for row in range(min(len(self), most))]

    def name(self, row: int) -> str:
        """Name of the clip of a row."""
        return bytes(self.rows["name"][row]).decode(errors="replace")

    @cached_property
    def embedder(self) -> Embedder:
        """The encoder that the index was built with, pooling as it did then.

        Raises:
            UserError: the folder's encoder is another one, or damaged, or there is no such device.
        """
        from ssl_skel.embedding.embedder import Embedder  # needs torch, which opening does not

        self.check_encoder()
        return Embedder(self.path / ENCODER, pooling=self.meta["pooling"], device=self.device)

    def check_encoder(self) -> None:
        """Refuse an encoder other than the one the index was built with.

        Raises:
            UserError: the folder holds other weights or another card, or none.
        """
        folder = self.path / ENCODER
        for file, sha256 in encoder_hashes(folder).items():
            if sha256 != self.meta["encoder"][file]:
                raise UserError(
                    f"{folder / file}: is not what the index was built with; its vectors mean nothing to another "
                    "encoder: build the index again with --overwrite"
                )

    @cached_property
    def codes(self) -> Codes:
        """What exact search compares first."""
        from ssl_skel.retrieval.codes import Codes

        return Codes.read(self.path / CODES, *self.vectors.shape)

    @cached_property
    def spread(self) -> Spread:
        """How its vectors are distributed, which gives a similarity its meaning."""
        from ssl_skel.retrieval.spread import Spread  # opening does not need what it imports

        return Spread.of(self.vectors, self.rows[["store", "clip"]])

    @cached_property
    def approximate(self) -> Approximate | None:
        """The faster search; None where the index has none."""
        if self.meta["kind"] not in KINDS:
            return None
        from ssl_skel.retrieval.approximate import Approximate

        search = self.meta["search"]
        return Approximate.read(self.path / APPROXIMATE, self.meta["kind"], search["effort"], search["fetch"])

    def search(
        self, joints: np.ndarray, k: int = 10, *, rows: Rows | None = None, exact: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The clips or windows nearest to a recording.

        It is normalised as the indexed ones were, gaps filled; joints never tracked take their parents' places.

        Args:
            joints: (T, V, C), or (M, T, V, C) for several persons; metres, y up, NaN where not tracked.
            k: how many.
            rows: search only among these, such as the result of ``Filter.rows``.
            exact: do not use the faster search.

        Returns:
            (k,) rows of the index and their cosines, nearest first.

        Raises:
            UserError: another layout, no frames, no tracked joint at all, or k below 1.
        """
        found, near = self.search_vectors(self.embedder.encode([joints]), k, rows=rows, exact=exact)
        return found[0], near[0]

    def search_vectors(
        self, vectors: np.ndarray, k: int = 10, *, rows: Rows | None = None, exact: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The rows nearest to vectors of this encoder.

        Exact unless the index was built for a faster search; then a list may miss some, and end in -1. With ``rows``,
        search is always exact. Rows of equal similarity come in order.

        Args:
            vectors: (Q, D), of any length.
            k: how many, of more than there are: all.
            rows: ascending; search only among these.
            exact: do not use the faster search.

        Returns:
            (Q, k) rows int64 and cosines float64, nearest first.

        Raises:
            UserError: vectors of another length, NaN in them, or k below 1.
        """
        vectors = np.asarray(vectors, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.vectors.shape[1]:
            raise UserError(f"{self.path}: takes query vectors (Q, {self.vectors.shape[1]}), got {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise UserError(f"{self.path}: query vectors hold NaN or infinity; check the recording they come from")
        if k < 1:
            raise UserError(f"k: counts neighbours from 1, got {k}")
        k = min(k, len(self) if rows is None else len(rows))
        if self.table is not None:
            if isinstance(rows, np.ndarray):
                raise UserError(f"{self.path}: searches among rows that conditions choose; see select")
            return self.table.search(unit(vectors), k, rows, self.meta["search"]["effort"], exact=exact)
        assert rows is None or isinstance(rows, np.ndarray)
        if rows is None and not exact and self.approximate is not None:
            return self.approximate.search(self.vectors, unit(vectors), k)
        return self.codes.search(self.vectors, unit(vectors), k, rows)

    def open_store(self, number: int, elsewhere: tuple[Path, ...] = ()) -> Store:
        """The store that rows with this ``store`` number were made from.

        Args:
            number: in ``meta.json``'s list.
            elsewhere: stores to try where it has been moved.

        Raises:
            UserError: it no longer exists, or has changed.
        """
        said = self.meta["stores"][number]
        for path in (*elsewhere, Path(said["path"])):
            if (path / META).is_file() and (store := Store.open(path)).sha256 == said["sha256"]:
                return store
        raise UserError(
            f"{said['path']}: the clips of the index no longer exist, or have changed; name the store with "
            "--store, or build the index again"
        )

    def joints(self, row: int, store: Store, length: int | None = None) -> np.ndarray:
        """What a vector was made of, (M, T, V, C): a whole clip as stored, or a window normalised on its own.

        Args:
            row: of the index.
            store: that it was made from.
            length: frames, if a place begins with the window and is longer.

        Raises:
            UserError: the store has no such clip, or no such frames in it.
        """
        clip, start, own = (int(self.rows[field][row]) for field in ("clip", "start", "length"))
        if clip >= len(store) or start + own > store.frames[clip]:
            raise UserError(f"{self.path / ROWS}: does not fit {store.path}; {_AGAIN}")
        joints = store.clip(clip)
        if needs_adapting(store, self.layout, self.normalization):
            joints = adapted_clip(store, clip, self.layout, self.normalization)
        return cut(joints, start, length or own, self.layout, self.normalization)


def encoder_hashes(folder: Path) -> dict[str, str]:
    """sha256 of an encoder's two files.

    Raises:
        UserError: one is missing.
    """
    found = {}
    for file in (WEIGHTS, CARD):
        try:
            with (folder / file).open("rb") as stream:
                found[file] = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{folder / file}: {error.strerror}; give a run with an encoder") from error
    return found


def _read_meta(file: Path) -> dict[str, Any]:
    restore(file.parent)
    if not file.is_file():
        raise UserError(f"{file.parent}: no index there; make it with ssl-skel index")
    try:
        meta = parse_json(file.read_bytes())
        version, found = meta["format_version"], meta.get("format")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file}: is damaged; {_AGAIN}") from error
    if found != "motion index" or not isinstance(meta, Mapping):
        raise UserError(f"{file.parent}: is not an index; make one with ssl-skel index")
    if version != FORMAT_VERSION:
        raise UserError(
            f"{file}: format_version: the index has {version}, this release reads {FORMAT_VERSION}; build it again"
        )
    readout = str(meta.get("readout"))  # the name in 0.1
    return {"pooling": FORMER_TEXTS.get(readout, readout), **meta}


def _normalization(meta: Mapping[str, Any], path: Path) -> NormalizeConfig:
    where = str(path / META)
    return require_normalization(parse_normalization(meta["normalization"], f"{where}: normalization"), where)


def _conversions(meta: Mapping[str, Any], path: Path) -> tuple[Conversion, ...]:
    where = f"{path / META}: conversions"
    return tuple(parse_config(Conversion, one, where, written=True) for one in meta.get("conversions", ()))


def _check_size(file: Path, size: int) -> None:
    found = file.stat().st_size if file.is_file() else None
    if found != size:
        what = "is missing" if found is None else f"has {found} bytes, {size} were written"
        raise UserError(f"{file}: {what}; {_AGAIN}")
