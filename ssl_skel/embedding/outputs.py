"""Files that features and encoders are written to, checked before the work is done; none of it needs torch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from ssl_skel.errors import UserError
from ssl_skel.files.taken import refuse_taken_file

ExportFormat = Literal["onnx", "torch-export"]
_SUFFIXES: dict[ExportFormat, str] = {"onnx": ".onnx", "torch-export": ".pt2"}
_TABLES = (".npz", ".parquet")


def check_table(path: Path, overwrite: bool, source: Path) -> None:
    """Refuse a file that features cannot be written to.

    Args:
        path: the file.
        overwrite: replace it.
        source: what they are features of.

    Raises:
        UserError: another ending than .npz or .parquet, a file that exists or is read, or a missing package.
    """
    if path.suffix not in _TABLES:
        raise UserError(f"{path}: give a name that ends in .npz or .parquet")
    refuse_taken_file(path, overwrite, [source])
    if path.suffix == ".parquet" and not find_spec("pyarrow"):
        raise UserError(f"{path}: .parquet needs a further package; install it with: pip install 'ssl-skel[tables]'")


def check_export(to: ExportFormat, path: Path, overwrite: bool) -> None:
    """Refuse a file that an encoder cannot be written to.

    Raises:
        UserError: the ending of another format, a file or card that exists, or a missing package.
    """
    if path.suffix != _SUFFIXES[to]:
        raise UserError(f"{path}: --to {to} writes {_SUFFIXES[to]} files; give a name with that ending")
    refuse_taken_file(path, overwrite)
    if not overwrite:
        refuse_taken_file(card_beside(path), overwrite)
    if to == "onnx" and not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))):
        raise UserError("--to onnx: needs further packages; install them with: pip install 'ssl-skel[onnx]'")


def card_beside(path: Path) -> Path:
    """The card of an exported encoder: the same name with ``.json`` added."""
    return path.with_name(path.name + ".json")
