"""ST-GCN's arrays: numbers, names, forms, damage."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_files
from raw_files import NTU_NAME, stgcn, walk

from ssl_skel.data.clip import BadClip, RawClip, check_clip
from ssl_skel.data.sources.open import open_reader
from ssl_skel.errors import UserError


def read(source: Path, layout: str | None = None) -> list[RawClip]:
    reader = open_reader("stgcn", source, layout)
    clips = []
    for file in reader.files():
        for clip in reader.read(file):
            if isinstance(clip, BadClip):
                raise clip.error
            check_clip(clip, reader.layout, file)
            clips.append(clip)
    return clips


@pytest.mark.parametrize("form", ["{}_data.npy", "{}_data_joint.npy", "{}_position.npy"])
def test_numbers_and_names(form: str, tmp_path: Path) -> None:
    one, two = walk(0, 14), walk(1, 20, persons=2)
    two[1, :5] = np.nan
    one[0, 3, 4] = 0  # a joint at the origin is a joint
    rows = {"train": [(NTU_NAME, 12, one)], "val": [("S001C001P003R002A060", 59, two)]}
    raw_files.stgcn(tmp_path, rows, form)
    first, second = read(tmp_path)
    np.testing.assert_array_equal(first.joints, one)
    np.testing.assert_array_equal(second.joints, two)
    assert (first.name, first.label, first.subject, first.camera) == (NTU_NAME, 12, 3, 2)
    reader = open_reader("stgcn", tmp_path)
    assert len(reader.class_names) == 60
    assert reader.splits == {
        "given": {"train": {"name": [NTU_NAME]}, "test": {"name": ["S001C001P003R002A060"]}},
    }
    alone = open_reader("stgcn", tmp_path / form.format("train"))
    assert alone.splits == {}
    assert len(list(alone.read(tmp_path / form.format("train")))) == 1


def test_the_score_of_openpose_is_dropped(tmp_path: Path) -> None:
    joints = 0.5 + walk(0, 6, 18)
    joints[0, 2, 3] = 0
    stgcn(tmp_path, {"train": [("a", 3, joints)]})
    (clip,) = read(tmp_path)
    expected = joints[..., :2].copy()
    expected[0, 2, 3] = np.nan
    np.testing.assert_array_equal(clip.joints, expected)
    assert clip.name == "a"


def test_other_layouts_are_given(tmp_path: Path) -> None:
    stgcn(tmp_path, {"train": [("a", 0, walk(0, 6, 20))]})
    with pytest.raises(UserError, match="has 20 joints; give --layout"):
        read(tmp_path)
    assert read(tmp_path, "kinect20")[0].joints.shape == (1, 6, 20, 3)


def labelled(folder: Path, labels: Any) -> Path:
    stgcn(folder)
    (folder / "train_label.pkl").write_bytes(pickle.dumps(labels))
    return folder / "train_label.pkl"


def array(folder: Path, data: np.ndarray) -> Path:
    file = stgcn(folder)
    np.save(file, data)
    return file


def without_labels(folder: Path) -> Path:
    file = stgcn(folder)
    (folder / "train_label.pkl").unlink()
    return file


def twice(folder: Path) -> Path:
    stgcn(folder)
    stgcn(folder, form="{}_position.npy")
    return folder


DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "axes": (lambda f: array(f, np.ones((1, 3, 9, 25))), "has shape (1, 3, 9, 25)"),
    "whole": (lambda f: array(f, np.ones((1, 3, 9, 25, 2), int)), "of floats"),
    "objects": (lambda f: array(f, np.array([{}])), "no .npy of plain numbers"),
    "joints": (lambda f: array(f, np.ones((1, 3, 9, 20, 2))).parent, "different numbers of joints"),
    "no labels": (without_labels, "train_label.pkl is missing"),
    "twice": (twice, "needs one train_data.npy"),
    "no pair": (lambda f: labelled(f, [1]), "is not a pair of lists"),
    "fewer": (lambda f: labelled(f, ([], [])), "has 0 names and 0 labels for 1 clips"),
    "names": (lambda f: labelled(f, ([3], [0])), "has 1 names and 1 labels"),
    "labels": (lambda f: labelled(f, (["a"], ["b"])), "label of 'a' is 'b', not a class number"),
    "code": (lambda f: labelled(f, print), "builtins.print, which could run code"),
    "nobody": (lambda f: array(f, np.zeros((1, 3, 9, 25, 2))), "has no frames"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(damage: str, tmp_path: Path) -> None:
    make, message = DAMAGE[damage]
    file = make(tmp_path)
    with pytest.raises(UserError) as told:
        read(tmp_path)
    assert str(told.value).startswith(f"{file}: ")
    assert message in str(told.value)
    assert "\n" not in str(told.value)
