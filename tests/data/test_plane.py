"""Two coordinates between 0 and 1 in arrays and tables are noticed, and an aspect ratio mends them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import raw_files
from raw_clips import read

from ssl_skel.data.dropped import report
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

SHARES = np.random.default_rng(0).uniform(0.2, 0.8, (4, 15, 2))


def _npy(folder: Path, joints: np.ndarray) -> None:
    raw_files.npy(folder, joints=joints, up="-y")


def _npz(folder: Path, joints: np.ndarray) -> None:
    raw_files.npz(folder, sidecar={"layout": "sbu15", "up": "-y"}, joints=joints[None])


def _table(folder: Path, joints: np.ndarray) -> None:
    axes = "xyz"[: joints.shape[-1]]
    lines = [",".join(["frame", "joint", *axes])]
    for t, frame in enumerate(joints):
        for name, place in zip(LAYOUTS["sbu15"].joints, frame, strict=True):
            lines.append(",".join([str(t), name, *(f"{value:.9f}" for value in place)]))
    raw_files.table(folder, text="\n".join(lines) + "\n", up="-y")


WRITERS: dict[str, Callable[[Path, np.ndarray], None]] = {"npy": _npy, "npz": _npz, "table": _table}


@pytest.mark.parametrize("format", WRITERS)
def test_shares_of_an_image_are_noticed(format: str, tmp_path: Path) -> None:
    WRITERS[format](tmp_path, SHARES)
    (clip,) = read(format, tmp_path)
    assert clip.dropped == {"shares": 1}
    np.testing.assert_allclose(clip.joints[0], -SHARES, rtol=1e-5)
    (line,) = report(clip.dropped, {"aspect": 0.0})
    assert line.startswith("1 clip with all x and y between 0 and 1")
    assert "aspect=1.778" in line


@pytest.mark.parametrize("format", WRITERS)
def test_the_aspect_makes_heights_of_them(format: str, tmp_path: Path) -> None:
    WRITERS[format](tmp_path, SHARES)
    (clip,) = read(format, tmp_path, "aspect=1.5")
    assert clip.dropped == {}
    np.testing.assert_allclose(clip.joints[0], -SHARES * [1.5, 1], rtol=1e-5)


@pytest.mark.parametrize("format", WRITERS)
def test_pixels_heights_and_three_coordinates_are_not_noticed(format: str, tmp_path: Path) -> None:
    for number, joints in enumerate(
        [SHARES * 1080, SHARES - 0.5, SHARES * [2, 1], np.dstack([SHARES, SHARES[..., 0]])]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        WRITERS[format](folder, joints)
        assert read(format, folder)[0].dropped == {}


def test_three_coordinates_have_no_aspect(tmp_path: Path) -> None:
    raw_files.npy(tmp_path)
    with pytest.raises(UserError, match="aspect: needs two coordinates; the joints have 3"):
        read("npy", tmp_path, "aspect=1.5")
