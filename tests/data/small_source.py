"""A small NW-UCLA, and its conversion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig

PLAIN = NormalizeConfig()


def write_clip(folder: Path, name: str, joints: np.ndarray) -> None:
    data = {"file_name": name, "skeletons": joints.tolist(), "label": int(name[1:3])}
    (folder / f"{name}.json").write_text(json.dumps(data), "utf-8")


def motion(seed: int, frames: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 20, 3)).astype(np.float32)


def small_source(tmp_path: Path) -> Path:
    """Three subjects, three views; the third view of subject 1 is a copy of its second; one gap."""
    folder = tmp_path / "source"
    folder.mkdir()
    for subject in (1, 2, 3):
        for view in (1, 2, 3):
            copy = subject == 1 and view == 3
            joints = motion(10 * subject + (2 if copy else view), 4 + subject)
            if (subject, view) == (2, 1):
                joints[1, 5] = np.nan
            write_clip(folder, f"a0{subject}_s0{subject}_e00_v0{view}", joints)
    return folder


def to_store(source: Path, name: str = "store", **options: Any) -> dict[str, Any]:
    return convert("nw-ucla", source, source.parent / name, normalize=PLAIN, progress=False, **options)
