"""The tensors of checkpoints, written and read; see ``checkpoint_folder`` for what needs none of them.

Only tensors are unpickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn
from torch.optim import Optimizer

from ssl_skel.files import folders
from ssl_skel.files.partial import whole_folder
from ssl_skel.files.temporary import cannot_write
from ssl_skel.training.checkpoint_folder import FORMAT_VERSION, STATE, checkpoints, damaged, path_of, read_state

_REMEDY = "make room, then continue with resume=auto"


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
    final = path_of(folder, state["step"])
    for rest in folder.glob(".step_*"):  # of a process that was killed
        shutil.rmtree(rest)
    try:
        with whole_folder(final, remedy=_REMEDY) as part:
            save_model(model, str(part / "model.safetensors"))
            if ema is not None:
                save_model(ema, str(part / "ema.safetensors"))
            packed = io.BytesIO()  # on a full disk torch may end the whole process
            torch.save({"optimizer": optimizer.state_dict(), "scaler": scaler.state_dict() if scaler else None}, packed)
            (part / "optimizer.pt").write_bytes(packed.getbuffer())
            facts = {"format_version": FORMAT_VERSION, **state, "sha256": _hashes(part)}
            (part / STATE).write_text(json.dumps(facts), "utf-8")
    except (SafetensorError, RuntimeError) as error:
        raise cannot_write(final, error, _REMEDY) from error
    for old in checkpoints(folder)[:-keep]:
        folders.remove(old)
    return final


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
    _check_hashes(checkpoint, state.pop("sha256", {}))
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
        raise damaged(checkpoint, file, error) from error
    return state


def _hashes(folder: Path) -> dict[str, str]:
    """sha256 of the files in a folder, by name."""
    found = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _check_hashes(checkpoint: Path, written: Any) -> None:
    """Refuse tensors that are not what was written; a flipped bit would go unnoticed.

    Args:
        checkpoint: its folder.
        written: name of a file -> its hash; empty for checkpoints of earlier releases.

    Raises:
        UserError: naming the first such file.
    """
    try:
        found = _hashes(checkpoint) if written else {}
        wrong = [name for name, sha256 in written.items() if found.get(name) != sha256]
    except (OSError, AttributeError) as error:
        raise damaged(checkpoint, STATE, error) from error
    if wrong:
        raise damaged(checkpoint, wrong[0], ValueError("its sha256 differs from state.json's"))
