"""Tensors of a file of weights, without running any code in it."""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ssl_skel.errors import UserError

LARGEST = 2**31
"""Bytes that a file, and its tensors together, may have."""

_HARMLESS: list[Any] = [argparse.Namespace]  # MAMP's code puts its options beside the weights
_WITHIN = ("model", "state_dict", "model_state_dict", "teacher")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The state dict in a file of torch or safetensors, on the CPU.

    A pickle of torch is read with ``weights_only``, so that it holds tensors, numbers and texts, and calls nothing.
    Where the state dict is one entry of a checkpoint, as in MAMP's, that entry is taken.

    Raises:
        UserError: the file cannot be read, holds anything else, or more than ``LARGEST`` bytes.
    """
    try:
        size = path.stat().st_size
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = max(size, sum(member.file_size for member in archive.infolist()))
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if size > LARGEST:
        raise UserError(f"{path}: has more than {LARGEST:,} bytes; no released encoder is as large")
    found = _state(_load(path))
    if not found:
        raise UserError(f"{path}: holds no tensors by name; give the file of weights that the release offers")
    if sum(tensor.numel() * tensor.element_size() for tensor in found.values()) > LARGEST:
        raise UserError(f"{path}: its tensors have more than {LARGEST:,} bytes; no released encoder is as large")
    return found


def _load(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged pickle ends in errors of any kind
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: is not a file of weights, or runs code, which is refused ({reason})") from error


def _state(loaded: Any) -> dict[str, Tensor]:
    """The tensors by name of what was loaded, or of the entry that holds them."""
    if not isinstance(loaded, Mapping):
        return {}
    for key in _WITHIN:
        if isinstance(loaded.get(key), Mapping):
            return _state(loaded[key])
    return {
        str(name).removeprefix("module."): value
        for name, value in loaded.items()
        if isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"
    }
