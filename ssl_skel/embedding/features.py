"""Clip features from a frozen encoder."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.store import Store
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.errors import UserError
from ssl_skel.progress import progress as show_progress


def extract_features(
    encoder: SkeletonEncoder,
    loader: ClipLoader,
    *,
    epoch: int = 0,
    autocast: torch.dtype | None = None,
    progress: bool = True,
) -> np.ndarray:
    """Features of every clip of a loader, in the loader's row order.

    The encoder runs in eval mode; its mode is restored. Several draws of a clip are averaged.

    Args:
        encoder: on the loader's device.
        loader: neither shuffled nor dropping its last clips.
        epoch: of the loader; if it crops and augments at random, each epoch has other draws.
        autocast: ``torch.bfloat16`` or ``torch.float16`` to compute in; None is float32.
        progress: show a bar when it takes longer than a second.

    Returns:
        (rows, D) float32.
    """
    parts: list[np.ndarray] = []
    modes = {module: module.training for module in encoder.modules()}
    encoder.eval()
    try:
        with torch.inference_mode():
            bar: dict[str, Any] = {"total": len(loader), "hidden": not progress, "leave": False, "delay": 1.0}
            for batch in show_progress(loader.epoch(epoch), "features", **bar):
                precision: AbstractContextManager = (
                    torch.autocast(batch.x.device.type, autocast) if autocast else nullcontext()
                )
                with precision:
                    views = [encoder(x, batch.present) for x in batch.x.unbind(1)]
                parts.append(torch.stack(views).float().mean(0).cpu().numpy())
    finally:
        for module, training in modes.items():
            module.training = training
    return np.concatenate(parts) if parts else np.zeros((0, encoder.dim), np.float32)


def find_device(name: str) -> torch.device:
    """The device that a user named; ``auto`` uses an accelerator if there is one.

    Raises:
        UserError: this machine does not have it.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device: {name!r} is not available on this machine; use auto or cpu") from error
    return device


def whole_clips(
    store: Store,
    rows: np.ndarray | None = None,
    *,
    num_frames: int,
    batch_size: int = 128,
    device: torch.device | str = "cpu",
    resident: str = "auto",
) -> ClipLoader:
    """The view that everything here is measured on: each whole clip, resampled to ``num_frames``.

    Papers of this field mostly test on the middle 95 % of a clip; a whole clip needs no such choice.

    Args:
        store: holds the clips.
        rows: rows of the store; default all.
        num_frames: T of the encoder.
        batch_size: clips per step.
        device: where batches are made.
        resident: whether the store moves to the device; see ``ClipLoader``.
    """
    chosen = np.arange(len(store)) if rows is None else rows
    return ClipLoader(
        store, chosen, num_frames=num_frames, batch_size=batch_size, crop=(1.0, 1.0), device=device, resident=resident
    )
