"""Columns of CSV and Parquet files, in pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.errors import UserError

ENDINGS = (".csv", ".parquet")
_ROWS = 1 << 16  # of a Parquet file at a time; pyarrow reads a CSV file by the megabyte


def column_names(file: Path, delimiter: str) -> list[str]:
    """Columns that a file has.

    Raises:
        UserError: it cannot be read, or pyarrow is not installed.
    """
    pyarrow = _pyarrow(file)
    try:
        if file.suffix == ".parquet":
            with pyarrow.parquet.ParquetFile(file) as opened:
                return list(opened.schema_arrow.names)
        with _open_csv(pyarrow, file, delimiter, None) as opened:
            return list(opened.schema.names)
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        raise _damage(file, error) from error


def read_columns(
    file: Path, texts: Sequence[str], numbers: Sequence[str], delimiter: str
) -> Iterator[dict[str, np.ndarray]]:
    """Some columns of a file, in pieces of equally long arrays: text as str objects ("" where empty), numbers as
    float64 (NaN where empty).

    Raises:
        UserError: the file is damaged, or a number is none; names the row and column where pyarrow does.
    """
    pyarrow = _pyarrow(file)
    text, number = pyarrow.string(), pyarrow.float64()
    types = dict.fromkeys(texts, text) | dict.fromkeys(numbers, number)
    try:
        for batch in _batches(pyarrow, file, types, delimiter):
            columns: dict[str, np.ndarray] = {}
            for name in texts:
                coded = batch.column(name).cast(text).fill_null("").dictionary_encode()
                columns[name] = np.array(coded.dictionary.to_pylist() or [""], object)[coded.indices.to_numpy()]
            for name in numbers:
                columns[name] = batch.column(name).cast(number).to_numpy(zero_copy_only=False)
            yield columns
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        raise _damage(file, error, column_names(file, delimiter)) from error


def _batches(pyarrow: Any, file: Path, types: dict[str, Any], delimiter: str) -> Iterator[Any]:
    if file.suffix == ".parquet":
        with pyarrow.parquet.ParquetFile(file) as opened:
            yield from opened.iter_batches(_ROWS, columns=list(types), use_threads=False)
        return
    with _open_csv(pyarrow, file, delimiter, types) as opened:
        yield from opened


def _open_csv(pyarrow: Any, file: Path, delimiter: str, types: dict[str, Any] | None) -> Any:
    return pyarrow.csv.open_csv(
        file,
        read_options=pyarrow.csv.ReadOptions(use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=False),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types or ())),
    )


def _damage(file: Path, error: Exception, names: Sequence[str] = ()) -> UserError:
    """What pyarrow says in one line, with the column's name for its number."""
    told = " ".join(str(error).split())[:200]
    found = re.search(r"In CSV column #(\d+): Row #(\d+): (.*)", told)
    if found and int(found[1]) < len(names):
        told = f"line {found[2]}, column {names[int(found[1])]!r}: {found[3]}"
    return UserError(f"{file}: is damaged: {told}; write it again")


def _pyarrow(file: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(f"{file}: tables need a further package; install: pip install 'ssl-skel[tables]'") from error
    if file.suffix not in ENDINGS:
        raise UserError(f"{file}: is no table; expected a file that ends in one of {', '.join(ENDINGS)}")
    return pyarrow
