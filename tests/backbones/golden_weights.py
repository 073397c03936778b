"""What released networks put out, as numbers; and the weights and inputs they had, made from their names.

Each file of ``golden`` was made by running a release's own module with ``weights`` of the names and shapes of its
state dict and ``clip`` as its input. It holds the names with their shapes, and the output. So whatever reads a
release's weights can be held to what the release computes with them, without any of its code.
"""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).with_name("golden")


def numbers(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in [-1, 1), float32, always the same for a name."""
    random = np.random.RandomState(zlib.crc32(name.encode()))  # NumPy promises never to change what it draws
    return random.uniform(-1, 1, shape).astype(np.float32)


def weights(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """A state dict of these names and shapes, in which no weight is where a fresh network has it."""
    return {name: torch.from_numpy(_weight(name, tuple(shape))) for name, shape in shapes.items()}


def _weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.asarray(7)
    drawn = numbers(name, shape)
    if name.endswith("running_var"):
        return 3 + drawn
    if name.endswith("weight"):
        return 1 + drawn / 5 if len(shape) == 1 else drawn * np.float32(math.sqrt(3 / math.prod(shape[1:])))
    return drawn * np.float32(0.2)


def clip(*shape: int) -> Tensor:
    """The input of a given shape."""
    return torch.from_numpy(numbers("input", shape))


def golden(name: str) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
    """A release's state dict with ``weights``, and its outputs. A fixed graph ``A`` is as the release has it."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        outputs = {key: file[key] for key in file.files}
    state = weights(json.loads(str(outputs.pop("shapes"))))
    return state | {key: torch.from_numpy(outputs.pop(key)) for key in ("A",) if key in outputs}, outputs
