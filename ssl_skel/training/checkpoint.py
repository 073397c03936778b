"""Checkpoints: a folder that is either whole or not there.

``step_000000123/`` holds ``model.safetensors``, ``optimizer.pt``, ``state.json`` and, where weights are
averaged, ``ema.safetensors``. It is written under a hidden name, forced to the disk and renamed, so the
newest folder of that form is always the place to continue from. Nothing is unpickled but tensors.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn
from torch.optim import Optimizer

from ssl_skel.errors import UserError

FORMAT_VERSION = 1


def save_checkpoint(
    folder: Path,
    state: dict[str, Any],
    *,
    model: nn.Module,
    optimizer: Optimizer,
    scaler: torch.amp.GradScaler | None = None,
    ema: nn.Module | None = None,
    keep: int = 2,
) -> Path:
    """Write ``folder/step_<state["step"]>`` and drop all but the newest ``keep``.

    Args:
        folder: the run's ``checkpoints``.
        state: plain JSON values; ``step`` counts optimiser steps.
        model: the task, not wrapped.
        optimizer: its state is saved whole.
        scaler: of fp16 training.
        ema: the averaged copy of the task.
        keep: how many folders stay.

    Raises:
        UserError: the disk refused; older checkpoints are untouched.
    """
    final = folder / f"step_{state['step']:09d}"
    part = folder / f".{final.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for rest in folder.glob(".step_*"):  # of a process that was killed
            shutil.rmtree(rest)
        part.mkdir()
        save_model(model, str(part / "model.safetensors"))
        if ema is not None:
            save_model(ema, str(part / "ema.safetensors"))
        torch.save(
            {"optimizer": optimizer.state_dict(), "scaler": scaler.state_dict() if scaler else None},
            part / "optimizer.pt",
        )
        (part / "state.json").write_text(json.dumps({"format_version": FORMAT_VERSION, **state}), "utf-8")
        for file in part.iterdir():
            sync_to_disk(file)
        sync_to_disk(part)
        part.rename(final)
        sync_to_disk(folder)
    except (OSError, SafetensorError, RuntimeError) as error:  # torch.save tells a full disk by RuntimeError
        reason = " ".join(str(error).split())
        raise UserError(f"{final}: cannot be written ({reason}); make room, then continue with resume=auto") from error
    for old in _folders(folder)[:-keep]:
        shutil.rmtree(old.rename(folder / f".{old.name}.old"))  # never a half-empty folder under its proper name
    return final


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint of a run, or None."""
    folders = _folders(folder)
    return folders[-1] if folders else None


def read_state(checkpoint: Path) -> dict[str, Any]:
    """What ``save_checkpoint`` was given as ``state``.

    Raises:
        UserError: damaged, or of another format version.
    """
    try:
        state = json.loads((checkpoint / "state.json").read_text("utf-8"))
        version = state.pop("format_version")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise _damaged(checkpoint, "state.json", error) from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"{checkpoint}: format version {version}, this release reads {FORMAT_VERSION}; "
            "continue with the release that wrote it"
        )
    return state


def load_checkpoint(
    checkpoint: Path,
    *,
    model: nn.Module,
    optimizer: Optimizer,
    scaler: torch.amp.GradScaler | None = None,
    ema: nn.Module | None = None,
) -> dict[str, Any]:
    """Put everything back in place and return the state.

    Raises:
        UserError: a file is damaged or does not fit the network.
    """
    state = read_state(checkpoint)
    file = "model.safetensors"
    try:
        load_model(model, checkpoint / file)
        file = "ema.safetensors"
        if ema is not None:
            load_model(ema, checkpoint / file)
        file = "optimizer.pt"
        saved = torch.load(checkpoint / file, map_location="cpu", weights_only=True)
        optimizer.load_state_dict(saved["optimizer"])
        if scaler is not None and saved["scaler"] is not None:
            scaler.load_state_dict(saved["scaler"])
    except Exception as error:  # truncated zips, foreign tensors: a dozen types for one remedy
        raise _damaged(checkpoint, file, error) from error
    return state


def sync_to_disk(path: Path) -> None:
    """Force a file, or a folder's list of names, out of the operating system's cache."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open folders and needs no such call
        return
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _folders(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("step_*") if re.fullmatch(r"step_\d{9,}", path.name)]
    return sorted(found, key=lambda path: int(path.name[5:]))


def _damaged(checkpoint: Path, file: str, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:200]
    return UserError(
        f"{checkpoint / file}: damaged or of another network ({reason}); "
        "remove that folder to continue from the checkpoint before it"
    )
