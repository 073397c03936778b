"""MSR-Action3D, UTKinect, Florence 3D, PKU-MMD and Kinetics-skeleton: numbers, labels, splits, damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import raw_files
from raw_clips import read
from raw_files import text, walk

from ssl_skel.data.sources.open import open_reader
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS


def test_msr_numbers(tmp_path: Path) -> None:
    joints = walk(0, 4, 20)[0]
    joints[1, 7] = 0
    raw_files.msr_action3d(tmp_path, joints=joints)
    raw_files.msr_action3d(tmp_path, "a20_s10_e01_skeleton", joints[:1])
    first, second = read("msr-action3d", tmp_path)
    for v, name in enumerate(LAYOUTS["kinect20"].joints):
        expected = joints[:, LAYOUTS["msr20"].joints.index(name)].copy()
        expected[(expected == 0).all(-1)] = np.nan
        np.testing.assert_allclose(first.joints[0, :, v], expected, rtol=1e-6)
    assert (first.name, first.label, first.subject, first.replication) == ("a08_s03_e02", 7, 3, 2)
    assert (second.name, second.label, second.joints.shape) == ("a20_s10_e01", 19, (1, 1, 20, 3))
    reader = open_reader("msr-action3d", tmp_path)
    assert reader.class_names[7] == "draw tick"
    assert all(len(reader.splits[name]["test"]["label"]) == 8 for name in ("as1", "as2", "as3"))


def test_utkinect_sessions_are_cut(tmp_path: Path) -> None:
    joints = walk(0, 10, 20)[0]
    rows = [[number, *joints[t].ravel()] for t, number in enumerate([250, 251, 251, 252, 254, 255, 256, 257, 258, 259])]
    labels = "s01_e02\r\nwalk: 251 254  \r\nclapHands: 258 300\r\npush: NaN NaN\r\n\r\ns02_e01\r\nwalk: 1 2\r\n"
    raw_files.utkinect(tmp_path, labels=labels)
    text(tmp_path / "joints" / "joints_s01_e02.txt", rows)
    walked, clapped = read("utkinect", tmp_path)
    np.testing.assert_allclose(walked.joints[0], joints[[1, 3, 4]], rtol=1e-6)
    np.testing.assert_allclose(clapped.joints[0], joints[[8, 9]], rtol=1e-6)
    assert (walked.name, walked.label, walked.subject, walked.replication) == ("s01_e02_walk", 0, 1, 2)
    assert (clapped.name, clapped.label) == ("s01_e02_clapHands", 9)


def test_utkinect_labels_lie_beside_the_joints_or_among_them(tmp_path: Path) -> None:
    raw_files.utkinect(tmp_path)
    beside = read("utkinect", tmp_path)
    assert [clip.name for clip in read("utkinect", tmp_path / "joints")] == [clip.name for clip in beside]
    (tmp_path / "actionLabel.txt").rename(tmp_path / "joints" / "actionLabel.txt")
    for source in (tmp_path, tmp_path / "joints"):
        (clip,) = read("utkinect", source)
        np.testing.assert_array_equal(clip.joints, beside[0].joints)


def test_florence_stands_up(tmp_path: Path) -> None:
    joints = walk(0, 4, 15)[0]
    raw_files.florence3d(tmp_path, [(12, 3, 9, joints), (2, 4, 1, joints[:1])])
    second, first = read("florence3d", tmp_path)
    np.testing.assert_allclose(first.joints[0], joints[..., [0, 2, 1]], rtol=1e-6)
    assert (first.name, first.label, first.subject) == ("video012", 8, 3)
    assert (second.name, second.label, second.subject) == ("video002", 0, 4)
    assert len(read("florence3d", next(tmp_path.iterdir()))) == 2


def test_pku_videos_are_cut(tmp_path: Path) -> None:
    joints = walk(0, 9, persons=2)
    joints[1, :5] = np.nan
    raw_files.pku_mmd(tmp_path, "0002-L", joints, [(5, 2, 6, 1), (51, 6, 12, 1)])
    raw_files.pku_mmd(tmp_path, "A01N07-R", joints, [(1, 0, 3, 1)])
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / "cross-subject.txt").write_text(
        "Training videos:\n0002-L, 0003-M\n\nValidation videos:\nA01N07-R"
    )
    one, two, three = read("pku-mmd", tmp_path)
    np.testing.assert_allclose(one.joints, joints[:, 2:6], rtol=1e-6)
    np.testing.assert_allclose(two.joints, joints[:, 6:9], rtol=1e-6)
    assert (one.name, one.label, one.camera, one.setup) == ("0002-L_00002", 4, 1, 2)
    assert (three.name, three.label, three.camera, three.setup) == ("A01N07-R_00000", 0, 3, 107)
    assert open_reader("pku-mmd", tmp_path).splits["xsub"] == {"train": {"setup": [2, 3]}, "test": {"setup": [107]}}


def test_kinetics_numbers(tmp_path: Path) -> None:
    joints = (0.5 + 0.1 * walk(0, 4, 18, persons=2)[..., :2]).astype(np.float32)
    joints[0, 2, 3] = np.nan
    joints[1, 1] = np.nan
    raw_files.kinetics(tmp_path, joints=joints)
    raw_files.kinetics(tmp_path, "kinetics_val/other", joints[:1], label_index=7)
    first, second = read("kinetics", tmp_path)
    np.testing.assert_allclose(first.joints, (0.5 - joints) * np.float32([340 / 256, 1]), atol=1e-6)
    assert (first.name, first.label, first.setup) == ("clip", 0, 1)
    assert (second.name, second.label, second.setup) == ("other", 7, 2)
    assert read("kinetics", tmp_path, "persons=1")[0].joints.shape == (1, 4, 18, 2)
    with pytest.raises(UserError, match="has no tracked joint"):
        read("kinetics", tmp_path, "min_score=0.8")
    assert open_reader("kinetics", tmp_path).class_names[0] == "0"
    labels = {"clip": {"has_skeleton": True, "label": "abseiling", "label_index": 0}, "odd": 3}
    (tmp_path / "kinetics_train_label.json").write_text(json.dumps(labels))
    assert open_reader("kinetics", tmp_path).class_names[:2] == ("abseiling", "1")


@pytest.mark.parametrize("change", [b"\r\n", b"\r", b"mark", b"no last line end", b"empty lines"])
def test_ends_of_lines_do_not_matter(change: bytes, tmp_path: Path) -> None:
    file = raw_files.msr_action3d(tmp_path)
    (expected,) = read("msr-action3d", tmp_path)
    data = file.read_bytes()
    if change == b"mark":
        data = b"\xef\xbb\xbf" + data
    elif change == b"no last line end":
        data = data.rstrip()
    elif change == b"empty lines":
        data = b"\n" + data.replace(b"\n", b" \n\n")
    else:
        data = data.replace(b"\n", change)
    file.write_bytes(data)
    np.testing.assert_array_equal(read("msr-action3d", tmp_path)[0].joints, expected.joints)


def filled(file: Path, data: bytes) -> Path:
    file.write_bytes(data)
    return file


FLAT = walk(0, 2, 15)[0]
DAMAGE: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "msr name": ("msr-action3d", lambda f: raw_files.msr_action3d(f, "clip_skeleton"), "expected one like a01_s01_e01"),
    "msr action": ("msr-action3d", lambda f: raw_files.msr_action3d(f, "a21_s01_e01_skeleton"), "action 21 is unknown"),
    "msr rows": ("msr-action3d", lambda f: raw_files.msr_action3d(f, joints=walk(0, 3, 19)[0]), "has 57 rows"),
    "msr zeros": ("msr-action3d", lambda f: raw_files.msr_action3d(f, joints=np.zeros((3, 20, 3))), "no tracked joint"),
    "msr empty": ("msr-action3d", lambda f: filled(raw_files.msr_action3d(f), b" \n"), "is empty"),
    "msr columns": ("msr-action3d", lambda f: filled(raw_files.msr_action3d(f), b"1 2 3\n" * 20), "expected 4, x y z"),
    "msr ragged": ("msr-action3d", lambda f: filled(raw_files.msr_action3d(f), b"1 2 3 4\n1 2\n"), "is damaged"),
    "msr text": ("msr-action3d", lambda f: filled(raw_files.msr_action3d(f), "wälk".encode()), "is damaged"),
    "ut session": ("utkinect", lambda f: raw_files.utkinect(f, labels="s01_e01\n"), "has no lines for s01_e02"),
    "ut nothing": ("utkinect", lambda f: raw_files.utkinect(f, labels="s01_e02\nwalk: 900 950\n"), "has no frames"),
    "ut joints": ("utkinect", lambda f: raw_files.utkinect(f, walk(0, 3, 25)[0]), "rows have 76 numbers; expected 61"),
    "florence category": ("florence3d", lambda f: raw_files.florence3d(f, [(1, 1, 10, FLAT)]), "one category from 1"),
    "florence actors": (
        "florence3d",
        lambda f: raw_files.florence3d(f, [(1, 1, 3, FLAT), (1, 2, 3, FLAT)]),
        "video 1: needs one actor",
    ),
    "florence numbers": (
        "florence3d",
        lambda f: text(f / "a_WorldCoordinates.txt", [[0.5, 1, 1, *FLAT[0].ravel()]]),
        "not whole numbers",
    ),
    "florence NaN": (
        "florence3d",
        lambda f: text(f / "a_WorldCoordinates.txt", [[np.nan, 1, 1, *FLAT[0].ravel()]]),
        "not whole numbers",
    ),
    "pku name": ("pku-mmd", lambda f: raw_files.pku_mmd(f, "video7"), "expected one like skeleton/0002-L.txt"),
    "pku class": ("pku-mmd", lambda f: raw_files.pku_mmd(f, labels=[(52, 1, 3, 1)]), "class 52, frames 1 to 3"),
    "pku frames": ("pku-mmd", lambda f: raw_files.pku_mmd(f, labels=[(1, 9, 12, 1)]), "does not fit 9 frames"),
    "pku backwards": ("pku-mmd", lambda f: raw_files.pku_mmd(f, labels=[(1, 5, 5, 1)]), "does not fit 9 frames"),
    "kinetics data": ("kinetics", lambda f: raw_files.kinetics(f, data=3), "data: missing"),
    "kinetics frame": (
        "kinetics",
        lambda f: raw_files.kinetics(f, data=[3]),
        "frame 0: is not a mapping with skeleton",
    ),
    "kinetics label": ("kinetics", lambda f: raw_files.kinetics(f, label_index=400), "label_index: is '400'"),
    "kinetics nobody": ("kinetics", lambda f: raw_files.kinetics(f, data=[{"skeleton": []}]), "no tracked joint"),
    "kinetics no frames": ("kinetics", lambda f: raw_files.kinetics(f, data=[]), "data: missing or empty"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(damage: str, tmp_path: Path) -> None:
    format, make, message = DAMAGE[damage]
    file = make(tmp_path)
    with pytest.raises(UserError) as told:
        read(format, tmp_path)
    assert str(told.value).startswith(f"{file}: ")
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_labels_that_are_missing_or_odd_are_named(tmp_path: Path) -> None:
    raw_files.utkinect(tmp_path, labels="s01_e02\nwalk 1 2\n")
    with pytest.raises(UserError, match=r"actionLabel\.txt: line 2: is 'walk 1 2'; expected 's01_e01'"):
        read("utkinect", tmp_path)
    (tmp_path / "actionLabel.txt").write_text(f"s01_e02\nwalk: 1 {'9' * 5000}\n")
    with pytest.raises(UserError, match=r"line 2"):
        read("utkinect", tmp_path)
    (tmp_path / "actionLabel.txt").unlink()
    with pytest.raises(UserError, match=r"actionLabel\.txt: cannot be read"):
        read("utkinect", tmp_path)
    file = raw_files.pku_mmd(tmp_path)
    (tmp_path / "label" / file.name).unlink()
    with pytest.raises(UserError, match=r"label/0002-L\.txt is missing"):
        read("pku-mmd", tmp_path)
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / "cross-subject.txt").write_text("nothing")
    with pytest.raises(UserError, match="has no lists 'Training videos:'"):
        read("pku-mmd", tmp_path)


def test_florence_in_millimetres_has_y_up(tmp_path: Path) -> None:
    """As it was published; both forms of the same people agree."""
    joints = walk(0, 4, 15)[0] + np.float32([0, 0.2, 2])
    raw_files.florence3d(tmp_path, [(1, 1, 9, np.round(1000 * joints, 3))])
    (clip,) = read("florence3d", tmp_path)
    np.testing.assert_allclose(clip.joints[0], joints, atol=1e-6)


def test_msr_screen_coordinates_are_refused(tmp_path: Path) -> None:
    screen = walk(0, 3, 20)[0] * np.float32([40, -80, 400]) + np.float32([160, 120, 800])
    file = raw_files.msr_action3d(tmp_path, "a01_s01_e01_skeleton", screen)
    with pytest.raises(UserError, match=r"holds screen coordinates \(pixels\), not metres") as told:
        read("msr-action3d", tmp_path)
    assert str(told.value).startswith(f"{file}: ")
