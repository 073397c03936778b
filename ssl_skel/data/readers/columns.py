"""Columns of CSV and Parquet files, in pieces."""

from __future__ import annotations

import csv
import gzip
import itertools
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ssl_skel.errors import UserError, why_unreadable

ENDINGS = (".csv.gz", ".csv", ".parquet")
_ROWS = 1 << 16  # of a Parquet file at a time; pyarrow reads a CSV file by the megabyte

_DAMAGE = (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error)


@dataclass(frozen=True)
class TableForm:
    """How a CSV file is written.

    Attributes:
        delimiter: between columns.
        header: names of the columns if the file has no header line; else empty.
    """

    delimiter: str = ","
    header: tuple[str, ...] = ()


def is_text(file: Path) -> bool:
    """Whether a table is a CSV file, perhaps zipped."""
    return file.suffix != ".parquet"


def first_row(file: Path, form: TableForm) -> list[str]:
    """Cells of a CSV file's first line.

    Raises:
        UserError: it cannot be read, or is empty.
    """
    try:
        with open_text(file) as stream:
            return next(_rows(stream, form))
    except (*_DAMAGE, StopIteration) as error:
        raise _damage(file, error) from error


def column_names(file: Path, form: TableForm) -> list[str]:
    """Columns that a file has.

    Raises:
        UserError: it cannot be read, or pyarrow is not installed.
    """
    pyarrow = _pyarrow(file)
    try:
        if not is_text(file):
            with pyarrow.parquet.ParquetFile(file) as opened:
                return list(opened.schema_arrow.names)
        try:
            with _open_csv(pyarrow, file, form, None) as opened:
                names = list(opened.schema.names)
        except pyarrow.ArrowException as error:  # it reads on to where a row is damaged
            if not _one_row(error):
                raise
            names = list(form.header) or first_row(file, form)
    except (*_DAMAGE, pyarrow.ArrowException) as error:
        raise _damage(file, error) from error
    if all(isinstance(_cell(name), float) for name in names):
        raise UserError(
            f"{file}: line 1: holds numbers, not names of columns; give header=[frame,joint,x,y,z] or the like, or "
            'header=["{joint}_{axis}"] where a row holds all joints in the layout\'s order'
        )
    return names


def read_columns(
    file: Path, texts: Sequence[str], numbers: Sequence[str], form: TableForm
) -> Iterator[dict[str, np.ndarray]]:
    """Some columns of a file, in pieces of equally long arrays: text as str objects ("" where empty), numbers as
    float64 (NaN where empty).

    Reading a CSV file continues after a damaged row, more slowly: numbers of such pieces are objects, floats except for
    the cells that are not numbers, which stay text. In a row that is longer or shorter than the header all numbers are
    "", and text it lacks is that of the row above.

    Raises:
        UserError: the file is damaged.
    """
    pyarrow = _pyarrow(file)
    text, number = pyarrow.string(), pyarrow.float64()
    types = dict.fromkeys(texts, text) | dict.fromkeys(numbers, number)
    rows = 0
    try:
        for batch in _batches(pyarrow, file, types, form):
            columns: dict[str, np.ndarray] = {}
            for name in texts:
                coded = batch.column(name).cast(text).fill_null("").dictionary_encode()
                columns[name] = np.array(coded.dictionary.to_pylist() or [""], object)[coded.indices.to_numpy()]
            for name in numbers:
                columns[name] = batch.column(name).cast(number).to_numpy(zero_copy_only=False)
            rows += batch.num_rows
            yield columns
    except (*_DAMAGE, pyarrow.ArrowException) as error:
        if not is_text(file) or not _one_row(error):
            raise _damage(file, error) from error
        yield from _row_by_row(file, texts, numbers, form, rows)


def _one_row(error: Exception) -> bool:
    """Whether one row of a CSV file is damaged, not the file."""
    return bool(re.search("CSV parse error|CSV conversion error", str(error)))


def _row_by_row(
    file: Path, texts: Sequence[str], numbers: Sequence[str], form: TableForm, skip: int
) -> Iterator[dict[str, np.ndarray]]:
    """The same of a damaged CSV file, from a row on."""
    try:
        with open_text(file) as stream:
            whole = _rows(stream, form)
            at = {name: place for place, name in enumerate(form.header or next(whole))}
            lost = [name for name in (*texts, *numbers) if name not in at]
            if lost:  # the faster parser read other names in a damaged first line
                raise UserError(f"{file}: line 1: is damaged; column {lost[0]!r} is not in it")
            rows = itertools.islice(whole, skip, None)
            above = dict.fromkeys(texts, "")
            while piece := list(itertools.islice(rows, _ROWS)):
                columns: dict[str, list[Any]] = {name: [] for name in (*texts, *numbers)}
                for row in piece:
                    short = len(row) != len(at)
                    above = {name: row[at[name]] if at[name] < len(row) else above[name] for name in texts}
                    for name in texts:
                        columns[name].append(above[name])
                    for name in numbers:
                        columns[name].append("" if short else _cell(row[at[name]]))
                yield {name: np.array(values, object) for name, values in columns.items()}
    except _DAMAGE as error:
        raise _damage(file, error) from error


def _rows(stream: IO[str], form: TableForm) -> Iterator[list[str]]:
    """Cells of the lines that are not empty, as pyarrow counts them; the first may be names of columns."""
    return (row for row in csv.reader(stream, delimiter=form.delimiter) if row)


def open_text(file: Path) -> IO[str]:
    """A CSV file, unzipped."""
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _cell(text: str) -> float | str:
    """A number, NaN of an empty cell, or the text."""
    if not text.strip():
        return math.nan
    try:
        return float(text)
    except ValueError:
        return text


def _batches(pyarrow: Any, file: Path, types: dict[str, Any], form: TableForm) -> Iterator[Any]:
    if not is_text(file):
        with pyarrow.parquet.ParquetFile(file) as opened:
            yield from opened.iter_batches(_ROWS, columns=list(types), use_threads=False)
        return
    with _open_csv(pyarrow, file, form, types) as opened:
        yield from opened


def _open_csv(pyarrow: Any, file: Path, form: TableForm, types: dict[str, Any] | None) -> Any:
    return pyarrow.csv.open_csv(
        file,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, column_names=form.header or None),
        parse_options=pyarrow.csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=False),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types or ())),
    )


def _damage(file: Path, error: Exception) -> UserError:
    """What is wrong, in one line."""
    if isinstance(error, UnicodeDecodeError):
        return UserError(f"{file}: cannot be read: {why_unreadable(error, 'save it as UTF-8')}")
    reason = " ".join(str(error).split())[:200]
    return UserError(f"{file}: is damaged: {reason}; write it again")


def _pyarrow(file: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(f"{file}: tables need a further package; install: pip install 'ssl-skel[tables]'") from error
    if not file.name.lower().endswith(ENDINGS):
        raise UserError(f"{file}: is not a table; expected a file that ends in one of {', '.join(ENDINGS)}")
    return pyarrow
