"""Acclaim's skeletons and angles: joints against a naive reading of the definition, the unit, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import raw_files
from raw_clips import read
from raw_files import ACCLAIM, points

from ssl_skel.data.sources.open import open_reader
from ssl_skel.errors import UserError

CHANNELS = 6 + sum(len(bone[5].split()) for bone in ACCLAIM)
UNIT = 0.0254 / 0.45


def about(axis: str, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {
        "x": np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]),
        "y": np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]),
        "z": np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]),
    }[axis]


def naive(row: np.ndarray) -> np.ndarray:
    """(17, 3) metres of one frame, bone by bone."""
    root = about("z", row[5]) @ about("y", row[4]) @ about("x", row[3])
    ends, turns, places, at = {"root": row[:3]}, {"root": root}, [row[:3]], 6
    for name, parent, direction, length, (x, y, z), dofs in ACCLAIM:
        own = about("z", z) @ about("y", y) @ about("x", x)
        turn = np.eye(3)
        for dof in dofs.split():
            turn = about(dof[1], row[at]) @ turn
            at += 1
        turns[name] = turns[parent] @ own @ turn @ np.linalg.inv(own)
        ends[name] = ends[parent] + turns[name] @ (length * np.array(direction))
        places.append(ends[name])
    return np.array(places) * UNIT


def test_joints_are_the_ends_of_bones(tmp_path: Path) -> None:
    motion = 40 * points(5, CHANNELS).astype(np.float64)
    raw_files.amc(tmp_path, motion=motion)
    (clip,) = read("amc", tmp_path)
    assert clip.name == "01_01_02"
    np.testing.assert_allclose(clip.joints[0], [naive(row) for row in motion], atol=1e-5)
    joints = open_reader("amc", tmp_path).layout.joints
    assert joints[:5] == ("pelvis", "left_hip", "left_knee", "left_ankle", "left_foot")


def test_lengths_are_inches_over_the_files_length(tmp_path: Path) -> None:
    """Somebody who stands: 2.5 * 0.8 + 7 * 0.94 + 7.2 * 0.94 down to the ankle."""
    raw_files.amc(tmp_path, motion=np.zeros((2, CHANNELS)))
    (clip,) = read("amc", tmp_path)
    joints = open_reader("amc", tmp_path).layout.joints
    down = 2.5 * 0.8 + 14.2 * 0.94
    np.testing.assert_allclose(clip.joints[0, :, joints.index("left_ankle"), 1], -down * UNIT, rtol=1e-5)
    raw_files.amc(tmp_path, motion=np.zeros((2, CHANNELS)), length=1.0)
    (clip,) = read("amc", tmp_path)
    np.testing.assert_allclose(clip.joints[0, :, joints.index("left_ankle"), 1], -down * 0.0254, rtol=1e-5)


def test_joints_come_to_another_layout_by_name(tmp_path: Path) -> None:
    raw_files.amc(tmp_path)
    own, (clip,) = read("amc", tmp_path)[0], read("amc", tmp_path, layout="common15")
    names = open_reader("amc", tmp_path).layout.joints
    reader = open_reader("amc", tmp_path, "common15")
    knee = reader.layout.joints.index("left_knee")
    np.testing.assert_array_equal(clip.joints[:, :, knee], own.joints[:, :, names.index("left_knee")])


def test_the_skeleton_is_found_by_name(tmp_path: Path) -> None:
    file = raw_files.amc(tmp_path)
    skeleton = file.with_name("01.asf")
    skeleton.with_name("02.asf").write_text("junk")
    assert len(read("amc", tmp_path)) == 1
    skeleton.rename(skeleton.with_name("03.asf"))
    with pytest.raises(UserError, match=r"found 2 \.asf files, none of its name beside it; put its skeleton there"):
        read("amc", tmp_path)
    skeleton.with_name("02.asf").unlink()
    assert len(read("amc", tmp_path)) == 1
    skeleton.with_name("03.asf").unlink()
    with pytest.raises(UserError, match=r"found no \.asf file beside it"):
        read("amc", tmp_path)


@pytest.mark.parametrize(
    ("suffix", "old", "new", "message"),
    [
        ("amc", "lfemur ", "lfemurs ", "line 6: 'lfemurs' does not fit the skeleton"),
        ("amc", "ltibia ", "ltibia 3 ", "line 7: 'ltibia' does not fit the skeleton"),
        ("amc", "\n2\n", "\n", "frame 1 has 'root' twice"),
        ("asf", "direction 0.6", "direction up", "does not fit a skeleton"),
        ("asf", "length 7.0", "size 7.0", "does not fit a skeleton"),
        ("asf", "root lhipjoint", "lhipjoint", "hierarchy: does not attach all bones to the root"),
        ("asf", "dof rx", "dof qx", "does not fit a skeleton"),
        ("asf", "order TX", "order T", "does not fit a skeleton"),
    ],
)
def test_damage_is_named(suffix: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    file = raw_files.amc(tmp_path)
    damaged = file if suffix == "amc" else file.with_name("01.asf")
    text = damaged.read_text("ascii")
    assert old in text
    damaged.write_text(text.replace(old, new, 1), "ascii")
    with pytest.raises(UserError) as told:
        read("amc", tmp_path)
    assert str(told.value).startswith(f"{damaged}: ")
    assert message in str(told.value)
