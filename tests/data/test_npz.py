"""A user's own arrays in ``.npz`` files: their forms, what stands beside them, damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from raw_clips import read
from raw_files import npz, points

from ssl_skel.data.readers import READERS
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

FRAMES = {"frames": np.array([2, 3])}
NPZ_DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no layout": (lambda f: npz(f, sidecar={}), "its layout is unknown; write 'layout: ...' into mine.yaml"),
    "sidecar": (lambda f: npz(f, sidecar={"layuot": "sbu15"}), "layuot: unknown key; did you mean 'layout'"),
    "other layout": (lambda f: npz(f, sidecar={"layout": "ntu25"}), "V = 25 joints of ntu25"),
    "member": (lambda f: npz(f, labels=np.zeros(3, int)), "unknown member 'labels'; did you mean 'label'"),
    "objects": (lambda f: npz(f, name=np.array([{}, {}, {}])), "is damaged, or no .npz of plain arrays"),
    "object joints": (lambda f: npz(f, joints=np.array([[[{}]]])), "expected (N, T, V, C)"),
    "complex": (lambda f: npz(f, joints=points(3, 6, 15, 3) + 1j), "joints: holds complex64; expected numbers"),
    "one axis": (lambda f: npz(f, joints=points(15, 3)), "expected (N, T, V, C)"),
    "no clips": (lambda f: npz(f, joints=points(0, 6, 15, 3)), "holds no clips"),
    "flat without frames": (lambda f: npz(f, joints=points(5, 15, 3)), "frames: missing"),
    "flat sum": (lambda f: npz(f, joints=points(6, 15, 3), **FRAMES), "do not add up to the 6 rows"),
    "persons when padded": (lambda f: npz(f, persons=np.ones(3, int)), "persons: only flat joints need it"),
    "no persons": (
        lambda f: npz(f, joints=points(5, 15, 3), **FRAMES, persons=np.array([0, 1])),
        "persons: must be at least 1",
    ),
    "frames beyond": (lambda f: npz(f, frames=np.array([1, 2, 7])), "between 0 and the 6"),
    "frames negative": (lambda f: npz(f, frames=np.array([1, 2, -1])), "between 0 and the 6"),
    "no frames": (lambda f: npz(f, frames=np.array([1, 0, 2])), "has no frames"),
    "length": (lambda f: npz(f, subject=np.zeros(4, int)), "subject: has 4 values for 3 clips"),
    "kind": (
        lambda f: npz(f, label=np.zeros(3)),
        "label: has shape (3,) of float64; expected one row of whole numbers",
    ),
    "label": (
        lambda f: npz(f, label=np.array([0, 1, 2]), class_names=np.array(["a", "b"])),
        "-1 (unknown) and 1, the last class",
    ),
    "negative label": (
        lambda f: npz(f, label=np.array([0, 1, -2])),
        "-1 (unknown) and 1, the last class",
    ),
    "split": (lambda f: npz(f, split=np.array(["train", "val", "test"])), "split: holds other words"),
    "up": (lambda f: npz(f, sidecar={"layout": "sbu15", "up": "x"}), "up: unknown 'x'"),
    "2D up": (
        lambda f: npz(f, sidecar={"layout": "sbu15", "up": "z"}, joints=points(3, 6, 15, 2)),
        "up: z needs three coordinates",
    ),
    "layout outside": (
        lambda f: npz(f, sidecar={"layout": "../secret.yaml"}),
        "is outside its folder",
    ),
    "layout absolute": (lambda f: npz(f, sidecar={"layout": "/etc/secret.yaml"}), "is outside its folder"),
    "only NaN": (lambda f: npz(f, joints=np.full((3, 6, 15, 3), np.nan)), "'mine_000000' has no tracked joint"),
}


@pytest.mark.parametrize("damage", NPZ_DAMAGE)
def test_damage_is_named(damage: str, tmp_path: Path) -> None:
    write, message = NPZ_DAMAGE[damage]
    file = write(tmp_path)
    with pytest.raises(UserError) as told:
        read("npz", tmp_path)
    assert str(told.value).startswith((f"{file}: ", f"{file.with_suffix('.yaml')}: "))
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_npz_goes_by_recordings_yaml(tmp_path: Path) -> None:
    npz(tmp_path, name=np.array(["s1_wave", "s2_bow", "s3_wave"]), camera=np.array([4, 5, 6]), sidecar={})
    text = "{layout: sbu15, units: mm, names: 's(?P<subject>[0-9]+)_(?P<label>[a-z]+)'}"
    (tmp_path / "recordings.yaml").write_text(text)
    reader = READERS["npz"](tmp_path)
    assert (reader.class_names, reader.layout.name) == (("bow", "wave"), "sbu15")
    assert reader.splits == {"xsub": {"train": {"subject": [1, 3]}, "test": {"subject": [2]}}}
    clips = read("npz", tmp_path)
    assert [(clip.label, clip.subject, clip.camera) for clip in clips] == [(1, 1, 4), (0, 2, 5), (1, 3, 6)]
    (metres, *_) = read("npz", tmp_path, "units=m")
    np.testing.assert_array_equal(clips[0].joints, metres.joints * np.float32(0.001))
    (tmp_path / "mine.yaml").write_text("layout: sbu15\n")  # its own goes before
    assert [clip.label for clip in read("npz", tmp_path)] == [-1, -1, -1]


def test_npz_clips_in_a_table(tmp_path: Path) -> None:
    npz(tmp_path, label=np.array([1, 0, 1]), sidecar={"layout": "sbu15", "labels": "clips.csv"})
    (tmp_path / "clips.csv").write_text("file,label,split\n" + "".join(f"mine_00000{i},9,train\n" for i in range(3)))
    assert [clip.label for clip in read("npz", tmp_path)] == [1, 0, 1]  # the file itself goes before
    assert len(READERS["npz"](tmp_path).splits["given"]["train"]["name"]) == 3
    (tmp_path / "clips.csv").write_text("file,split\nmine_000000,train\n")
    with pytest.raises(UserError, match=r"mine\.npz: clips\.csv has no row for 'mine_000001'; add one"):
        READERS["npz"](tmp_path)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i4"])
def test_npz_forms_agree(order: Any, dtype: str, tmp_path: Path) -> None:
    frames = np.array([3, 6, 1])
    clips = [(9 * points(1, t, 15, 3, seed=t)).astype(dtype) for t in frames]
    padded = np.zeros((3, 6, 15, 3), dtype, order=order)
    for row, clip in enumerate(clips):
        padded[row, : frames[row]] = clip[0]
    forms = {
        "padded": {"joints": padded},
        "persons": {"joints": np.asarray(padded[:, None], order=order)},
        "flat": {"joints": np.asarray(np.concatenate([clip[0] for clip in clips]), order=order)},
    }
    for form, members in forms.items():
        folder = tmp_path / form
        folder.mkdir()
        npz(folder, **members, frames=frames)
        found = read("npz", folder)
        for one, clip in zip(found, clips, strict=True):
            np.testing.assert_array_equal(one.joints, clip.astype(np.float32))


def test_npz_flat_persons_lie_one_after_the_other(tmp_path: Path) -> None:
    joints = points(2 * 3 + 4, 15, 3)
    npz(tmp_path, joints=joints, frames=np.array([3, 4]), persons=np.array([2, 1]))
    two, one = read("npz", tmp_path)
    np.testing.assert_array_equal(two.joints, np.stack([joints[:3], joints[3:6]]))
    np.testing.assert_array_equal(one.joints, joints[None, 6:])


def test_npz_padding_with_nan_is_cut_only_at_the_end(tmp_path: Path) -> None:
    joints = points(2, 2, 6, 15, 3)
    joints[0, :, 4:] = np.nan
    joints[0, :, 1] = np.nan
    joints[1, 1] = np.nan
    npz(tmp_path, joints=joints)
    cut, whole = read("npz", tmp_path)
    np.testing.assert_array_equal(cut.joints, joints[0, :, :4])
    np.testing.assert_array_equal(whole.joints, joints[1])


def test_npz_columns_and_splits(tmp_path: Path) -> None:
    columns = {
        "label": np.array([0, 1, -1]),
        "subject": np.array([1, 2, 3]),
        "camera": np.array([4, 5, 6]),
        "setup": np.array([7, 8, 9]),
        "replication": np.array([1, 1, 2], np.uint8),
    }
    mine = {"train": {"camera": [4]}, "test": {"camera": [5, 6]}}
    npz(
        tmp_path,
        **columns,
        name=np.array(["one", "two", "drei"]),
        split=np.array(["train", "", "test"]),
        class_names=np.array(["wave", "bow"]),
        sidecar={"layout": "sbu15", "splits": {"mine": mine}},
    )
    reader = READERS["npz"](tmp_path)
    assert reader.class_names == ("wave", "bow")
    assert reader.splits == {
        "xsub": {"train": {"subject": [1, 3]}, "test": {"subject": [2]}},
        "given": {"train": {"name": ["one"]}, "test": {"name": ["drei"]}},
        "mine": mine,
    }
    clips = read("npz", tmp_path)
    assert [clip.name for clip in clips] == ["one", "two", "drei"]
    for column, values in columns.items():
        assert [getattr(clip, column) for clip in clips] == values.tolist()


def test_npz_without_columns(tmp_path: Path) -> None:
    npz(tmp_path, sidecar={}, joints=points(2, 4, 20, 2))
    reader = READERS["npz"](tmp_path / "mine.npz", "kinect20")
    assert (reader.class_names, reader.splits, reader.layout) == ((), {}, LAYOUTS["kinect20"])
    clips = read("npz", tmp_path / "mine.npz", layout="kinect20")
    assert [clip.name for clip in clips] == ["mine_000000", "mine_000001"]
    assert all((clip.label, clip.subject, clip.camera) == (-1, -1, -1) for clip in clips)


def test_npz_of_odd_subjects_alone_offers_no_xsub(tmp_path: Path) -> None:
    npz(tmp_path, subject=np.array([1, 3, -1]))
    assert READERS["npz"](tmp_path).splits == {}


def test_npz_classes_without_names_are_numbered(tmp_path: Path) -> None:
    npz(tmp_path, label=np.array([0, 2, 1]))
    assert READERS["npz"](tmp_path).class_names == ("0", "1", "2")


def test_npz_files_of_one_folder_agree(tmp_path: Path) -> None:
    npz(tmp_path, "one", label=np.array([0, 1, 1]), subject=np.array([1, 1, 1]))
    npz(tmp_path, "two", label=np.array([2, 1, 1]), subject=np.array([2, 2, 2]))
    reader = READERS["npz"](tmp_path)
    assert reader.class_names == ("0", "1", "2")
    assert reader.splits["xsub"]["test"] == {"subject": [2]}
    assert len(read("npz", tmp_path)) == 6
    npz(tmp_path, "three", joints=points(1, 2, 20, 3), sidecar={"layout": "kinect20"})
    with pytest.raises(UserError, match="differs from the others'"):
        READERS["npz"](tmp_path)
    npz(tmp_path, "three", class_names=np.array(["a", "b", "c"]))
    with pytest.raises(UserError, match="class_names: differ between the files"):
        READERS["npz"](tmp_path)


def test_npz_layout_of_the_users_own(tmp_path: Path) -> None:
    data = LAYOUTS["sbu15"].to_dict() | {"name": "mine15"}
    (tmp_path / "mine15.yaml").write_text(yaml.safe_dump(data), "utf-8")
    npz(tmp_path, sidecar={"layout": "mine15.yaml"})
    assert READERS["npz"](tmp_path).layout.name == "mine15"
    assert READERS["npz"](tmp_path, "sbu15").layout.name == "sbu15"


@pytest.mark.parametrize("units", ["m", "cm", "mm"])
def test_npz_units(units: str, tmp_path: Path) -> None:
    scale = {"m": 1, "cm": 100, "mm": 1000}[units]
    joints = points(1, 2, 15, 3)
    npz(tmp_path, joints=scale * joints, sidecar={"layout": "sbu15", "units": units})
    np.testing.assert_allclose(read("npz", tmp_path)[0].joints, joints, rtol=1e-5)


@pytest.mark.parametrize(("up", "axis", "sign", "depth"), [("y", 1, 1, 2), ("z", 2, 1, 1), ("-y", 1, -1, 2)])
def test_npz_axes_come_to_lie_as_a_kinects(up: str, axis: int, sign: int, depth: int, tmp_path: Path) -> None:
    joints = points(1, 2, 15, 3)
    npz(tmp_path, joints=joints, sidecar={"layout": "sbu15", "up": up})
    (clip,) = read("npz", tmp_path)
    np.testing.assert_allclose(clip.joints[0, ..., 1], sign * joints[0, ..., axis])
    np.testing.assert_allclose(clip.joints[0, ..., 2], joints[0, ..., depth])
    before, after = joints[0, 0, :3], clip.joints[0, 0, :3]  # turned, never mirrored
    assert np.linalg.det(after) == pytest.approx(np.linalg.det(before), rel=1e-4)


def test_npz_images_are_turned_upright(tmp_path: Path) -> None:
    joints = points(1, 2, 15, 2)
    npz(tmp_path, joints=joints, sidecar={"layout": "sbu15", "up": "-y"})
    (clip,) = read("npz", tmp_path)
    np.testing.assert_array_equal(clip.joints[0], -joints[0])


def test_npz_is_read_clip_by_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npz(tmp_path, joints=points(50, 6, 15, 3))
    reader = READERS["npz"](tmp_path)
    sizes: list[int] = []
    frombuffer = np.frombuffer

    def watched(data: bytes, dtype: Any) -> np.ndarray:
        sizes.append(len(data))
        return frombuffer(data, dtype)

    monkeypatch.setattr(np, "frombuffer", watched)
    assert len(list(reader.read(tmp_path / "mine.npz"))) == 50
    assert sizes == [6 * 15 * 3 * 4] * 50


def test_npz_frames_of_zeros_are_unseen_and_cut_at_the_end(tmp_path: Path) -> None:
    joints = points(2, 2, 6, 15, 3)
    joints[0, :, 4:] = 0
    joints[0, :, 1] = 0
    npz(tmp_path, joints=joints)
    cut, whole = read("npz", tmp_path)
    expected = joints[0, :, :4].copy()
    expected[:, 1] = np.nan
    np.testing.assert_array_equal(cut.joints, expected)
    np.testing.assert_array_equal(whole.joints, joints[1])
