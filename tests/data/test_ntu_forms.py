"""NTU RGB+D as CTR-GCN's npz and PYSKL's pickle: numbers, damage, and one store from these and the raw files."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_files
from raw_clips import read
from raw_files import NTU_NAME, walk

from ssl_skel.data.convert import convert, describe
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.readers.ntu_facts import CLASS_NAMES
from ssl_skel.data.sources.open import open_reader
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError

# CTR-GCN's npz


def test_npz_numbers(tmp_path: Path) -> None:
    one, two = walk(0, 7), walk(1, 9, persons=2)
    two[1, :3] = two[1, 6:] = np.nan
    raw_files.ctrgcn(tmp_path, {"train": [(one, 3), (two, 59)], "test": [(one[:, :1], 0)]})
    first, second, third = read("ctrgcn", tmp_path)
    np.testing.assert_array_equal(first.joints, one - one[0, 0, 1])
    np.testing.assert_array_equal(second.joints, two - two[0, 0, 1])
    assert third.joints.shape == (1, 1, 25, 3)
    assert [clip.name for clip in (first, second, third)] == ["train_000000", "train_000001", "test_000000"]
    assert [clip.label for clip in (first, second, third)] == [3, 59, 0]


@pytest.mark.parametrize(
    ("name", "classes", "split", "first"),
    [
        ("NTU60_CS", 60, "xsub", "drink water"),
        ("NTU60_XView", 60, "xview", "drink water"),
        ("NTU120_CSet", 120, "xset", "drink water"),
        ("PKUMMD", 61, "given", "0"),
    ],
)
def test_npz_names_tell_the_split(name: str, classes: int, split: str, first: str, tmp_path: Path) -> None:
    file = raw_files.ctrgcn(tmp_path, name=name, classes=classes)
    reader = open_reader("ctrgcn", file)
    names = {"train": {"name": ["train_000000", "train_000001"]}, "test": {"name": ["test_000000"]}}
    assert reader.splits == {split: names}
    assert (len(reader.class_names), reader.class_names[0]) == (classes, first)


def twice(folder: Path) -> Path:
    raw_files.ctrgcn(folder, name="b")
    raw_files.ctrgcn(folder, name="a")
    return folder


ROWS = np.eye(60, dtype=np.float32)
NPZ_DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "two files": (twice, "holds 2 .npz files; give one of them, such as a.npz"),
    "joints": (lambda f: raw_files.ctrgcn(f, x_test=np.ones((1, 9, 120), "f4")), "x_test: has shape (1, 9, 120)"),
    "no floats": (
        lambda f: raw_files.ctrgcn(f, x_test=np.ones((1, 9, 150), int)),
        "x_test: has shape (1, 9, 150) of int",
    ),
    "rows": (lambda f: raw_files.ctrgcn(f, y_test=ROWS[:2]), "y_test: has shape (2, 60); expected one-hot rows for 1"),
    "no class": (lambda f: raw_files.ctrgcn(f, y_train=0 * ROWS[:2]), "y_train: row 0 names no class"),
    "several": (lambda f: raw_files.ctrgcn(f, y_train=ROWS[:2] + ROWS[3]), "y_train: row 0 names no class, or several"),
    "classes": (lambda f: raw_files.ctrgcn(f, y_test=ROWS[:1, :49]), "have 60 and 49 classes"),
    "objects": (lambda f: raw_files.ctrgcn(f, y_test=np.array([{}])), "is damaged, or no .npz with x_train"),
    "nobody": (lambda f: raw_files.ctrgcn(f, x_test=np.zeros((1, 9, 150), "f4")), "has no frames"),
}


@pytest.mark.parametrize("damage", NPZ_DAMAGE)
def test_npz_damage_is_named(damage: str, tmp_path: Path) -> None:
    make, message = NPZ_DAMAGE[damage]
    file = make(tmp_path)
    with pytest.raises(UserError) as told:
        read("ctrgcn", tmp_path)
    assert str(told.value).startswith(f"{file}: ")
    assert message in str(told.value)


# PYSKL's pickle


def flat(frames: int = 4, **changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "frame_dir": "clip",
        "label": 1,
        "keypoint": rng.uniform(1, 900, (1, frames, 17, 2)).astype(np.float16),
        "keypoint_score": rng.uniform(0.1, 1, (1, frames, 17)).astype(np.float16),
        "img_shape": (1080, 1920),
    } | changes


def test_pickle_3d(tmp_path: Path) -> None:
    joints = walk(0, 14, persons=2).astype(np.float16)
    joints[1, :4] = 0
    names = {"xsub_train": [NTU_NAME], "xsub_val": ["clip7"]}
    clips = [
        {"frame_dir": NTU_NAME, "label": 12, "keypoint": joints},
        {"frame_dir": "clip7", "label": 59, "keypoint": joints},
    ]
    raw_files.pyskl(tmp_path, clips, names)
    reader = open_reader("pyskl", tmp_path)
    assert reader.class_names == CLASS_NAMES[:60]
    assert reader.splits == {"xsub": {"train": {"name": [NTU_NAME]}, "test": {"name": ["clip7"]}}}
    first, second = read("pyskl", tmp_path)
    expected = joints.astype(np.float32)
    expected[1, :4] = np.nan
    np.testing.assert_array_equal(first.joints, expected)
    assert (first.label, first.subject, first.camera, first.setup, first.replication) == (12, 3, 2, 1, 2)
    assert (second.label, second.subject) == (59, -1)


def test_pickle_2d_stands_upright_in_image_heights(tmp_path: Path) -> None:
    clip = flat()
    raw_files.pyskl(tmp_path, [clip], {"train1": ["clip"], "test1": ["other"], "all": ["clip"]})
    assert list(open_reader("pyskl", tmp_path).splits) == ["given1"]
    (found,) = read("pyskl", tmp_path)
    keypoints = clip["keypoint"].astype(np.float32)
    np.testing.assert_allclose(found.joints[..., 0], (960 - keypoints[..., 0]) / 1080, atol=1e-6)
    np.testing.assert_allclose(found.joints[..., 1], (540 - keypoints[..., 1]) / 1080, atol=1e-6)
    (doubted,) = read("pyskl", tmp_path, "min_score=0.5")
    np.testing.assert_array_equal(np.isnan(doubted.joints).any(-1), clip["keypoint_score"] < 0.5)


def test_pickle_of_another_layout(tmp_path: Path) -> None:
    raw_files.pyskl(tmp_path, [flat(keypoint=np.ones((1, 4, 26, 2)), keypoint_score=None)])
    with pytest.raises(UserError, match=r"keypoint: has \(26, 2\) joints and coordinates; give --layout"):
        read("pyskl", tmp_path)
    assert read("pyskl", tmp_path, layout="halpe26")[0].joints.shape == (1, 4, 26, 2)


GOOD = {"frame_dir": "a", "label": 0, "keypoint": walk(0, 3)}
PICKLE_DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no clips": (lambda f: filled_pickle(f, {"annotations": []}), "annotations: missing or empty"),
    "a list": (lambda f: filled_pickle(f, [1]), "annotations[0].keypoint: is not an array"),
    "no dict": (lambda f: filled_pickle(f, {"annotations": [GOOD, 3]}), "annotations[1].keypoint: is not an array"),
    "axes": (lambda f: raw_files.pyskl(f, [GOOD | {"keypoint": np.ones((3, 25, 3))}]), "annotations[0].keypoint"),
    "whole": (lambda f: raw_files.pyskl(f, [GOOD | {"keypoint": np.ones((1, 3, 25, 3), int)}]), "of floats"),
    "name": (lambda f: raw_files.pyskl(f, [GOOD | {"frame_dir": 3}]), "annotations[0].frame_dir: is '3'"),
    "label": (lambda f: raw_files.pyskl(f, [GOOD, GOOD | {"label": -2}]), "annotations[1].label: is '-2'"),
    "other joints": (lambda f: raw_files.pyskl(f, [GOOD, GOOD | {"keypoint": np.ones((1, 3, 17, 3))}]), "has shape"),
    "split": (lambda f: raw_files.pyskl(f, split={"xsub_train": "abc"}), "split: is not a dict of lists of names"),
    "score": (lambda f: raw_files.pyskl(f, [flat(keypoint_score=np.ones((1, 9, 17)))]), "keypoint_score: does not fit"),
    "image": (lambda f: raw_files.pyskl(f, [flat(img_shape=(0, 3))]), "img_shape: is (0, 3); expected (height, width)"),
    "code": (lambda f: filled_pickle(f, print), "builtins.print, which could run code"),
}


def filled_pickle(folder: Path, thing: Any) -> Path:
    import pickle

    (folder / "anno.pkl").write_bytes(pickle.dumps(thing))
    return folder / "anno.pkl"


@pytest.mark.parametrize("damage", PICKLE_DAMAGE)
def test_pickle_damage_is_named(damage: str, tmp_path: Path) -> None:
    make, message = PICKLE_DAMAGE[damage]
    file = make(tmp_path)
    with pytest.raises(UserError) as told:
        read("pyskl", tmp_path)
    assert str(told.value).startswith(f"{file}: ")
    assert message in str(told.value)
    assert "\n" not in str(told.value)


# One store from all three


def test_three_forms_of_a_recording_give_one_store(tmp_path: Path) -> None:
    late = walk(1, 30, persons=2)
    late[1, :9] = np.nan  # the second person comes later
    recordings = {
        "S001C002P001R001A013": walk(0, 20),
        "S001C003P002R001A058": late,
        "S001C001P003R001A060": walk(2, 25, persons=2),
    }
    labels = {name: int(name[-3:]) - 1 for name in recordings}
    for form in ("raw", "npz", "pickle"):
        (tmp_path / form).mkdir()
    for name, joints in recordings.items():
        raw_files.ntu(tmp_path / "raw", name, joints)
    sides = {"train": ["S001C002P001R001A013"], "test": ["S001C001P003R001A060", "S001C003P002R001A058"]}
    raw_files.ctrgcn(
        tmp_path / "npz", {side: [(recordings[n], labels[n]) for n in names] for side, names in sides.items()}
    )
    clips = [{"frame_dir": n, "label": labels[n], "keypoint": np.nan_to_num(x)} for n, x in recordings.items()]
    raw_files.pyskl(tmp_path / "pickle", clips, {"xsub_train": sides["train"], "xsub_val": sides["test"]})
    stores = {}
    for form, format in (("raw", "ntu"), ("npz", "ctrgcn"), ("pickle", "pyskl")):
        path = tmp_path / f"store_{form}"
        convert(format, tmp_path / form, path, normalize=NormalizeConfig(), progress=False)
        stores[form] = Store.open(path)
        assert describe(path)["splits"]["xsub"]["train"] >= 1
    rows = {form: dict(zip(store.name, range(3), strict=True)) for form, store in stores.items()}
    rows["npz"] = {name: rows["npz"][f"{s}_{i:06d}"] for s, names in sides.items() for i, name in enumerate(names)}
    for name in recordings:
        at = {form: rows[form][name] for form in stores}
        assert len({int(store.label[at[form]]) for form, store in stores.items()}) == 1
        for form in ("npz", "pickle"):
            np.testing.assert_allclose(
                stores[form].clip(at[form]), stores["raw"].clip(at["raw"]), atol=1e-5, err_msg=f"{form} {name}"
            )


def test_a_plain_list_of_annotations_is_read(tmp_path: Path) -> None:
    """As MMAction2 wrote it before 1.0."""
    clips = [{"frame_dir": name, "label": label, "keypoint": walk(label, 5)} for label, name in enumerate("ab")]
    file = raw_files.pyskl(tmp_path, clips)
    told = read("pyskl", file)
    file.write_bytes(pickle.dumps(pickle.loads(file.read_bytes())["annotations"]))
    for one, other in zip(read("pyskl", file), told, strict=True):
        assert (one.name, one.label) == (other.name, other.label)
        np.testing.assert_array_equal(one.joints, other.joints)
    assert open_reader("pyskl", file).splits == {}
    file.write_bytes(pickle.dumps([]))
    with pytest.raises(UserError, match="annotations: missing or empty"):
        open_reader("pyskl", file)
