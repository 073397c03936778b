"""Vectors and rows of an index as a table of LanceDB (extra ``lance``), for more of them than memory holds.

The table stays on the disk, or in object storage. An IVF-PQ index of it proposes candidates, which are compared by
their whole vectors; filters are answered by indexes of the columns. Only what a search needs is read.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import search_exactly, unit
from ssl_skel.progress import progress as show_progress
from ssl_skel.retrieval.conditions import Condition

FOLDER = "lance"
"""Database in the folder of an index; it may be moved into object storage."""
TABLE = "rows"
FEWEST = 1 << 16
"""Rows below which every search reads all vectors: LanceDB trains codes on as many, and reads them in milliseconds."""
_BLOCK = 1 << 16  # rows written at once; each block is a fragment of the table
_FILTERED = ("row", "label", "subject", "camera", "name")  # columns that have an index
_DEPTH, _QUERIES, _TARGET = 10, 64, 0.97
_PLACE = re.compile(r", /\S*\.rs:\d+:\d+")
_PROBES = (5, 10, 20, 40, 80, 160, 320)
_MOST_TIMES = 10  # by which a condition multiplies the effort
_REFINE = 10  # candidates for each wanted row, which are compared by their whole vectors


@dataclass(frozen=True)
class Selection:
    """Rows of a table that meet conditions; ``where`` is SQL."""

    where: str
    count: int

    def __len__(self) -> int:
        return self.count


class Column:
    """Records or vectors of a table, read when they are chosen: ``records[7]``, ``records["label"][[3, 5]]``."""

    def __init__(self, table: LanceTable, dtype: np.dtype, field: str | list[str] | None = None) -> None:
        self._table, self.dtype, self._field = table, dtype, field
        self.shape = (len(table), *([table.dim] if dtype.names is None else []))

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, key: Any) -> Any:
        """Of a row, of several, or records with fewer fields."""
        if isinstance(key, str) or (isinstance(key, list) and key and isinstance(key[0], str)):
            return Column(self._table, self.dtype, key)
        rows = np.atleast_1d(np.asarray(key))
        found = self._table.take(rows, self.dtype)
        found = found if self._field is None else found[self._field]
        return found[0] if np.ndim(key) == 0 else found

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("a table is not read whole")


class LanceTable:
    """An open table.

    Args:
        database: folder or URI.
        rows: type of the records.
        dim: D.
        count: N, rows that it must have.
        check: refuses impossible records.

    Raises:
        UserError: LanceDB is not installed, or there is no such table.
    """

    def __init__(
        self, database: str, rows: np.dtype, dim: int, count: int, check: Callable[[np.ndarray], None] | None = None
    ) -> None:
        self.where, self.dim = f"{database}/{TABLE}", dim
        self._rows, self._count, self._check = rows, count, check
        with self._reading():
            self._table: Any = _connect(database).open_table(TABLE)
            schema, found = self._table.schema, self._table.count_rows()
        if found != count or not schema.equals(_schema(rows, dim)):
            raise UserError(f"{self.where}: is not what meta.json says; build the index again with --overwrite")

    @classmethod
    def write(cls, folder: Path, vectors: np.ndarray, rows: np.ndarray, *, progress: bool = False) -> LanceTable:
        """Make the table and its indexes, block by block.

        Args:
            folder: of the database.
            vectors: (N, D) float32 of unit length.
            rows: (N,) records.
            progress: show a bar.

        Raises:
            UserError: LanceDB is not installed, or the disk is full.
        """
        count, dim = vectors.shape
        database = _connect(str(folder))
        from lancedb.index import BTree, IvfPq

        total, hidden = -(-count // _BLOCK), not progress
        try:
            blocks = show_progress(_batches(vectors, rows), "lance", total=total, hidden=hidden, leave=False)
            table = database.create_table(TABLE, iter(blocks), schema=_schema(rows.dtype, dim))
            for column in _FILTERED:
                table.create_index(column, config=BTree())
            if count >= FEWEST:
                lists = max(1, min(round(math.sqrt(count)), count // 256))
                how = IvfPq(distance_type="dot", num_partitions=lists, num_sub_vectors=_pieces(dim))
                table.create_index("vector", config=how)
        except (ValueError, OSError, RuntimeError) as error:
            raise UserError(
                f"{folder}: cannot be written: {_brief(error)}; make room or choose another path"
            ) from error
        return cls(str(folder), rows.dtype, dim, count)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Damage that LanceDB meets is one line."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # LanceDB's, Arrow's, and panics of the code beneath: one remedy
            raise UserError(f"{self.where}: {_brief(error)}; build the index again with --overwrite") from error

    def __len__(self) -> int:
        """N, rows."""
        return self._count

    @property
    def records(self) -> Column:
        """(N,) records."""
        return Column(self, self._rows)

    @property
    def vectors(self) -> Column:
        """(N, D) float32."""
        return Column(self, np.dtype("<f4"))

    def take(self, rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Records, or vectors where the type has no fields, of some rows in their order."""
        fields = list(dtype.names or ["vector"])
        wanted, place = np.unique(rows, return_inverse=True)
        if len(wanted) and not 0 <= wanted[0] <= wanted[-1] < len(self):
            raise IndexError(f"rows lie in 0..{len(self) - 1}")
        if not len(wanted):
            return np.zeros((0, self.dim) if dtype.names is None else 0, dtype)
        with self._reading():
            found = self._table.take_offsets(wanted.tolist()).select(["row", *fields]).to_arrow()
        order = np.argsort(found["row"].to_numpy())
        if not np.array_equal(found["row"].to_numpy()[order], wanted):
            raise UserError(f"{self.where}: its rows are not in order; build the index again with --overwrite")
        if dtype.names is None:
            return _vectors(found, self.dim)[order][place]
        records = _records(found, dtype)
        if self._check is not None:
            self._check(records)
        return records[order][place]

    def named(self, name: str) -> np.ndarray:
        """Rows of the clips of a name, ascending."""
        quoted = name.replace("'", "''")
        with self._reading():
            found = self._table.search().where(f"name = '{quoted}'").select(["row"]).limit(self._count).to_arrow()
        return np.sort(found["row"].to_numpy())

    def names(self, most: int) -> list[str]:
        """Names of the first rows."""
        with self._reading():
            found: list[str] = self._table.search().select(["name"]).limit(most).to_arrow()["name"].to_pylist()
        return found

    def select(self, conditions: Sequence[Condition]) -> Selection:
        """The rows that meet all conditions."""
        where = " AND ".join(f"({one.sql()})" for one in conditions)
        with self._reading():
            return Selection(where, self._table.count_rows(where))

    def search(
        self, queries: np.ndarray, k: int, among: Selection | None, effort: int, *, exact: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows (Q, k), -1 where fewer were found, and their float64 cosines.

        Args:
            queries: (Q, D) float32 of unit length.
            k: how many.
            among: search only among these.
            effort: lists probed; more where only some of their rows may be found.
            exact: read every vector, as is done for a selection of fewer than ``FEWEST`` rows anyway.
        """
        if among is not None:
            exact = exact or len(among) < FEWEST
            effort *= min(_MOST_TIMES, -(-len(self) // max(1, len(among))))
        rows, near = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
        for number, query in enumerate(queries):
            search = self._table.search(query, vector_column_name="vector").distance_type("dot").limit(k)
            search = search.select(["row", "vector", "_distance"])
            search = search.bypass_vector_index() if exact else search.nprobes(effort).refine_factor(_REFINE)
            if among is not None:
                search = search.where(among.where, prefilter=True)
            with self._reading():
                found = search.to_arrow()
            at = found["row"].to_numpy()
            close = (_vectors(found, self.dim).astype(np.float64) * query).sum(1)
            order = np.lexsort([at, -close])
            rows[number, : len(at)], near[number, : len(at)] = at[order], close[order]
        return rows, near

    def tune(self, vectors: np.ndarray) -> dict[str, Any]:
        """The least effort with the wanted recall among vectors of the table, and that recall.

        Args:
            vectors: (N, D), all of the table.
        """
        own = np.sort(np.random.default_rng(1).choice(len(vectors), min(_QUERIES, len(vectors)), replace=False))
        queries, k = unit(np.asarray(vectors[own])), min(_DEPTH, len(vectors) - 1)
        truth = search_exactly(vectors, queries, k + 1)[0]
        recall, effort = 0.0, 0
        for effort in _PROBES:
            found = self.search(queries, k + 1, None, effort, exact=False)[0]
            lists = zip(truth, found, own, strict=True)
            hits = [np.isin(wanted[wanted != row][:k], mine).mean() for wanted, mine, row in lists]
            recall = float(np.mean(hits)) if k else 1.0
            if recall >= _TARGET:
                break
        return {"effort": effort, "fetch": _REFINE, "recall": recall, "queries": len(own), "k": k}


def _connect(database: str) -> Any:
    os.environ.setdefault("LANCE_LOG", "error")  # its warnings are for programmers
    try:
        import lancedb
    except ImportError as error:
        raise UserError("--kind lance: needs LanceDB; install it with: pip install 'ssl-skel[lance]'") from error
    return lancedb.connect(database)


def _brief(error: Exception) -> str:
    """LanceDB's message without the places in its source."""
    return " ".join(_PLACE.sub("", str(error)).split())[:200]


def _schema(rows: np.dtype, dim: int) -> Any:
    import pyarrow as pa

    types = {"u": pa.uint64(), "S": pa.string()}
    assert rows.names is not None
    fields = [(name, types.get(rows[name].kind, pa.int64())) for name in rows.names]
    return pa.schema([("row", pa.int64()), *fields, ("vector", pa.list_(pa.float32(), dim))])


def _batches(vectors: np.ndarray, rows: np.ndarray) -> Iterator[Any]:
    import pyarrow as pa

    schema = _schema(rows.dtype, vectors.shape[1])
    for at in range(0, len(rows), _BLOCK):
        block, some = np.array(vectors[at : at + _BLOCK]), rows[at : at + _BLOCK]
        columns = [pa.array(np.arange(at, at + len(some)))]
        for name in rows.dtype.names or ():
            values: Any = np.array(some[name])
            if name == "name":
                values = [bytes(one).decode(errors="replace") for one in values]
            columns.append(pa.array(values, schema.field(name).type))
        columns.append(pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), vectors.shape[1]))
        yield pa.record_batch(columns, schema=schema)


def _vectors(found: Any, dim: int) -> np.ndarray:
    values: np.ndarray = found["vector"].combine_chunks().flatten().to_numpy()
    return values.reshape(-1, dim)


def _records(found: Any, dtype: np.dtype) -> np.ndarray:
    out = np.zeros(len(found), dtype)
    for name in dtype.names or ():
        out[name] = [one.encode() for one in found[name].to_pylist()] if name == "name" else found[name].to_numpy()
    return out


def _pieces(dim: int) -> int:
    """Bytes of a code: four numbers share one where that divides D."""
    return next(pieces for pieces in range(max(1, dim // 4), 0, -1) if dim % pieces == 0)
