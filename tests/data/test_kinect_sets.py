"""NW-UCLA, UTD-MHAD and SBU: numbers and damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from raw_clips import read
from raw_files import nw_ucla, points, sbu, utd_mhad

from ssl_skel.data.readers import READERS
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS


def test_nw_ucla_numbers(tmp_path: Path) -> None:
    file = nw_ucla(tmp_path)
    (clip,) = read("nw-ucla", tmp_path)
    expected = np.array(json.loads(file.read_text())["skeletons"], np.float32)
    np.testing.assert_array_equal(clip.joints, expected[None])
    assert (clip.name, clip.label, clip.subject, clip.camera, clip.replication) == ("a08_s03_e02_v01", 6, 3, 1, 2)
    assert READERS["nw-ucla"](tmp_path).class_names[clip.label] == "donning"


def test_utd_mhad_numbers(tmp_path: Path) -> None:
    joints = points(20, 3, 6)
    utd_mhad(tmp_path, joints=joints)
    (clip,) = read("utd-mhad", tmp_path)
    published = ["head", "shoulder_centre", "spine", "hip_centre"]
    published += [f"{s}_{j}" for s in ("left", "right") for j in ("shoulder", "elbow", "wrist", "hand")]
    published += [f"{s}_{j}" for s in ("left", "right") for j in ("hip", "knee", "ankle", "foot")]
    for v, name in enumerate(LAYOUTS["kinect20"].joints):
        for t in range(6):
            np.testing.assert_array_equal(clip.joints[0, t, v], joints[published.index(name), :, t])
    assert (clip.name, clip.label, clip.subject, clip.camera, clip.replication) == ("a5_s2_t3", 4, 2, -1, 3)


def test_utd_mhad_of_one_frame(tmp_path: Path) -> None:
    utd_mhad(tmp_path, joints=points(20, 3, 1)[..., 0])
    (clip,) = read("utd-mhad", tmp_path)
    assert clip.joints.shape == (1, 1, 20, 3)


def test_sbu_numbers(tmp_path: Path) -> None:
    joints = points(5, 2, 15, 3)
    sbu(tmp_path, "s02s07", joints)
    (clip,) = read("sbu", tmp_path)
    np.testing.assert_allclose(clip.joints, joints.swapaxes(0, 1), atol=1e-5)
    assert (clip.name, clip.label, clip.subject, clip.setup, clip.replication) == ("s02s07_03_001", 2, 2, 207, 1)


def test_sbu_folds_test_each_pair_once(tmp_path: Path) -> None:
    sbu(tmp_path)
    splits = READERS["sbu"](tmp_path).splits
    assert list(splits) == [f"fold{i}" for i in range(1, 6)]
    tested = [pair for split in splits.values() for pair in split["test"]["setup"]]
    assert len(tested) == len(set(tested)) == 21
    for split in splits.values():
        assert sorted(split["train"]["setup"] + split["test"]["setup"]) == sorted(tested)


def write_text(file: Path, text: str) -> Path:
    file.write_text(text, "utf-8")
    return file


def ragged() -> list[Any]:
    return [*points(3, 20, 3).tolist(), points(19, 3).tolist()]


NW_UCLA_DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "name": (lambda f: nw_ucla(f, "clip7"), "expected one like a01_s01_e00_v01.json"),
    "action": (lambda f: nw_ucla(f, "a07_s01_e00_v01"), "action 7 is unknown"),
    "label": (lambda f: nw_ucla(f, label=3), "label: is 3, which is not the action 8"),
    "no frames": (lambda f: nw_ucla(f, skeletons=[]), "has shape"),
    "ragged": (lambda f: nw_ucla(f, skeletons=ragged()), "is damaged"),
    "joints": (lambda f: nw_ucla(f, skeletons=points(4, 25, 3).tolist()), "has shape (1, 4, 25, 3)"),
    "text": (lambda f: nw_ucla(f, skeletons="walk"), "is damaged"),
    "no key": (lambda f: write_text(nw_ucla(f), '{"label": 7}'), "is damaged"),
    "a list": (lambda f: write_text(nw_ucla(f), "[]"), "is damaged"),
    "bottomless": (lambda f: write_text(nw_ucla(f), "[" * 100_000), "is damaged"),
    "only NaN": (lambda f: nw_ucla(f, skeletons=np.full((4, 20, 3), np.nan).tolist()), "has no tracked joint"),
    "only inf": (lambda f: nw_ucla(f, skeletons=np.full((4, 20, 3), np.inf).tolist()), "has no tracked joint"),
    "only zeros": (lambda f: nw_ucla(f, skeletons=np.zeros((4, 20, 3)).tolist()), "has no tracked joint"),
}


UTD_MHAD_DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "name": (lambda f: utd_mhad(f, "clip"), "expected one like a1_s1_t1_skeleton.mat"),
    "action": (lambda f: utd_mhad(f, "a28_s1_t1"), "action 28 is unknown"),
    "joints": (lambda f: utd_mhad(f, joints=points(25, 3, 6)), "d_skel has shape (25, 3, 6)"),
    "text": (lambda f: utd_mhad(f, joints="walk"), "is damaged"),
    "no frames": (lambda f: utd_mhad(f, joints=points(20, 3, 0)), "has no frames"),
    "only NaN": (lambda f: utd_mhad(f, joints=np.full((20, 3, 6), np.nan)), "has no tracked joint"),
}


SBU_DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "pair": (lambda f: sbu(f, "pair1"), "expected one like s01s02/01/001/skeleton_pos.txt"),
    "empty": (lambda f: write_text(sbu(f), ""), "is damaged"),
    "text": (lambda f: write_text(sbu(f), "wälk"), "is damaged"),
    "ragged": (lambda f: write_text(sbu(f), "1,2,3\n1,2\n"), "is damaged"),
    "columns": (lambda f: write_text(sbu(f), "1,2,3\n1,2,3\n"), "rows have 3 numbers; expected 91"),
    "only NaN": (lambda f: write_text(sbu(f), ",".join(["nan"] * 91)), "has no tracked joint"),
}


DAMAGE = [
    pytest.param(format, write, message, id=f"{format}: {damage}")
    for format, cases in {
        "nw-ucla": NW_UCLA_DAMAGE,
        "utd-mhad": UTD_MHAD_DAMAGE,
        "sbu": SBU_DAMAGE,
    }.items()
    for damage, (write, message) in cases.items()
]


@pytest.mark.parametrize(("format", "write", "message"), DAMAGE)
def test_damage_is_named(format: str, write: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    file = write(tmp_path)
    with pytest.raises(UserError) as told:
        read(format, tmp_path)
    assert str(told.value).startswith((f"{file}: ", f"{file.with_suffix('.yaml')}: "))
    assert message in str(told.value)
    assert "\n" not in str(told.value)
