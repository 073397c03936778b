"""Whoever names the wrong format is told which one the files look like; whoever names the right one is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import raw_files
from small_source import PLAIN

from ssl_skel.data.convert import convert
from ssl_skel.errors import UserError


def refused(format: str, source: Path, **options: object) -> str:
    with pytest.raises(UserError) as told:
        convert(format, source, source.parent / "store", normalize=PLAIN, progress=False, **options)  # type: ignore[arg-type]
    return str(told.value)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.mark.parametrize(
    ("wrong", "right"), [("mediapipe", "kinetics"), ("kinetics", "mediapipe"), ("bvh", "openpose"), ("npz", "ctrgcn")]
)
def test_the_format_that_files_look_like_is_named(wrong: str, right: str, raw: Path) -> None:
    raw_files.WRITERS[right](raw)
    assert refused(wrong, raw).endswith(f"; it looks like {right}")


def test_a_layout_that_was_given_helps_to_guess(raw: Path) -> None:
    np.save(raw / "clip.npy", raw_files.points(4, 15, 3))
    assert refused("stgcn", raw, layout="sbu15").endswith("; it looks like npy")


def test_damage_in_the_right_format_is_no_guess(raw: Path) -> None:
    raw_files.mediapipe(raw)
    raw_files.mediapipe(raw, "wave/clip02").write_text("{")
    message = refused("mediapipe", raw)
    assert "clip02.json: is damaged" in message
    assert "looks like" not in message
    assert "looks like" not in refused("mediapipe", raw, options=["min_score=2"])


def test_files_of_no_format(raw: Path) -> None:
    (raw / "notes.txt").write_text("junk")
    assert "looks like" not in refused("npz", raw)
