"""Which checkpoints a run has, and the progress of each: paths and JSON, without torch.

``step_000000123/`` holds ``model.safetensors``, ``optimizer.pt``, ``state.json`` and, where weights are
averaged, ``ema.safetensors``. It appears when it is whole, so the newest folder of that form is always the place to
continue from.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ssl_skel.errors import UserError
from ssl_skel.plain_json import parse_json

FORMAT_VERSION = 1
STATE = "state.json"


def path_of(folder: Path, step: int) -> Path:
    """Path of the checkpoint of a step in a run's ``checkpoints``."""
    return folder / f"step_{step:09d}"


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    found = [path for path in folder.glob("step_*") if re.fullmatch(r"step_\d{9,}", path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step_")))


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint of a run, or None."""
    found = checkpoints(folder)
    return found[-1] if found else None


def read_state(checkpoint: Path) -> dict[str, Any]:
    """What ``save_checkpoint`` was given as ``state``.

    Raises:
        UserError: damaged, or of another format version.
    """
    try:
        state = parse_json((checkpoint / STATE).read_bytes())
        version = state.pop("format_version")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise damaged(checkpoint, STATE, error) from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"{checkpoint}: format version {version}, this release reads {FORMAT_VERSION}; "
            "continue with the release that wrote it"
        )
    return state


def damaged(checkpoint: Path, file: str, error: Exception) -> UserError:
    """A file of a checkpoint that cannot be read, with the remedy."""
    reason = " ".join(str(error).split())[:200]
    return UserError(
        f"{checkpoint / file}: damaged or of another network ({reason}); "
        "remove that folder to continue from the checkpoint before it"
    )
