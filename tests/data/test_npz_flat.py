"""Flat ``.npz`` files, as motion capture is kept: places from the root, offsets, joints by name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from raw_clips import read
from raw_files import points

from ssl_skel.data.readers import READERS
from ssl_skel.data.sources.open import open_reader
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

NAMES = ["hip", "neck", "headTop", "l_hand", "r_hand"]
PARENTS = [-1, 0, 1, 1, 1]
LENGTHS = np.array([3, 1, 4])


def flat(folder: Path, **members: Any) -> Path:
    """A file of three clips of five joints, without what is None."""
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    held = {
        **{"pos": points(8, 5, 3).astype("f2"), "root": points(8, 3, seed=1), "offsets": offsets},
        **{"joints": np.array(NAMES), "parents": np.array(PARENTS), "name": np.array(["one", "two", "drei"])},
    }
    file = folder / "flat.npz"
    np.savez(file, allow_pickle=False, **{name: v for name, v in (held | members).items() if v is not None})
    return file


def test_places_count_from_the_root(tmp_path: Path) -> None:
    clips = read("npz", flat(tmp_path))
    pos, root = points(8, 5, 3).astype("f2"), points(8, 3, seed=1)
    row = 0
    for clip, length in zip(clips, LENGTHS, strict=True):
        assert clip.joints.shape == (1, length, 5, 3)
        for frame in clip.joints[0]:
            for joint, place in enumerate(frame):
                np.testing.assert_allclose(place, pos[row, joint].astype("f4") + root[row], rtol=1e-6)
            row += 1
    assert row == 8
    assert [clip.name for clip in clips] == ["one", "two", "drei"]


def test_forms_of_flat_agree(tmp_path: Path) -> None:
    """Places without root, or as joints; lengths as frames: all one."""
    joints = points(8, 15, 3)
    forms: dict[str, dict[str, Any]] = {
        "joints, offsets": {"joints": joints, "pos": None, "parents": None, "root": None},
        "joints, frames": {"joints": joints, "pos": None, "parents": None, "root": None, "offsets": None},
        "pos, offsets": {"pos": joints, "joints": None, "parents": None, "root": None},
        "pos, frames": {"pos": joints, "joints": None, "parents": None, "root": None, "offsets": None},
    }
    for form, members in forms.items():
        members |= {"frames": LENGTHS} if "frames" in form else {}
        clips = read("npz", flat(tmp_path, **members), layout="sbu15")
        np.testing.assert_array_equal(np.concatenate([clip.joints[0] for clip in clips]), joints)
        assert [clip.joints.shape[1] for clip in clips] == LENGTHS.tolist()


def test_offsets_count_the_rows_of_all_persons(tmp_path: Path) -> None:
    joints = points(2 * 3 + 2, 15, 3)
    members = {"joints": joints, "pos": None, "parents": None, "root": None, "name": None}
    file = flat(tmp_path, **members, offsets=np.array([0, 6, 8]), persons=np.array([2, 1]))
    two, one = read("npz", file, layout="sbu15")
    np.testing.assert_array_equal(two.joints, joints[:6].reshape(2, 3, 15, 3))
    np.testing.assert_array_equal(one.joints, joints[None, 6:])


def test_names_and_parents_make_a_layout(tmp_path: Path) -> None:
    """In any order: here the root is the third joint."""
    order = [2, 1, 0, 3, 4]
    names = [NAMES[joint] for joint in order]
    layout = READERS["npz"](flat(tmp_path, joints=np.array(names), parents=np.array([1, 2, -1, 1, 1]))).layout
    assert layout.joints == ("head_top", "neck", "hip_centre", "left_hand", "right_hand")
    assert (layout.parents, layout.root, layout.centre) == ((1, 2, 2, 1, 1), 2, 2)
    assert layout.mirror == (0, 1, 2, 4, 3)


def test_a_known_layout_is_recognised_by_its_names(tmp_path: Path) -> None:
    ntu = LAYOUTS["ntu25"]
    names = [
        f"{name.split('_', 1)[1]}_{name.split('_', 1)[0]}" if name.startswith(("left_", "right_")) else name
        for name in ntu.joints
    ]
    parents = np.array([-1 if joint == parent else parent for joint, parent in enumerate(ntu.parents)])
    file = flat(tmp_path, joints=np.array(names), parents=parents, pos=points(8, 25, 3))
    assert READERS["npz"](file).layout == ntu


def test_joints_come_to_another_layout_by_name(tmp_path: Path) -> None:
    sbu = LAYOUTS["sbu15"]
    back = np.arange(15)[::-1]
    parents = np.array([14 - sbu.parents[j] if sbu.parents[j] != j else -1 for j in back])
    joints = points(8, 15, 3)
    file = flat(
        tmp_path, joints=np.array([sbu.joints[j] for j in back]), parents=parents, pos=joints[:, back], root=None
    )
    clips = read("npz", file, layout="sbu15")
    np.testing.assert_array_equal(np.concatenate([clip.joints[0] for clip in clips]), joints)


def test_acclaims_bones_are_places_of_their_ends(tmp_path: Path) -> None:
    names = "root lhipjoint lfemur ltibia rhipjoint rfemur rtibia thorax lclavicle lhumerus lradius rclavicle rhumerus"
    raw = [*names.split(), "rradius"]
    parents = np.array([-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 7, 11, 12])
    layout = READERS["npz"](flat(tmp_path, joints=np.array(raw), parents=parents, pos=points(8, 14, 3))).layout
    assert layout.joints[:4] == ("pelvis", "left_hip", "left_knee", "left_ankle")
    assert layout.joints[8:11] == ("left_shoulder", "left_elbow", "left_wrist")
    assert set(layout.joints) <= set(LAYOUTS["hdm05-31"].joints)


def test_classes_subjects_and_splits_by_name(tmp_path: Path) -> None:
    sides = np.array([["train", "test"], ["test", "train"], ["", "train"]])
    members = {
        **{"action": np.array(["wave", "bow", "wave"]), "label": np.array([4, 5, 6]), "split": sides},
        **{"subject": np.array(["tr", "bd", "mm"]), "take": np.array([7, 8, 9]), "fps": np.array(30.0)},
    }
    file = flat(tmp_path, **members)
    reader = READERS["npz"](file)
    assert reader.class_names == ("bow", "wave")
    assert reader.splits["given1"] == {"train": {"name": ["one"]}, "test": {"name": ["two"]}}
    assert reader.splits["given2"] == {"train": {"name": ["two", "drei"]}, "test": {"name": ["one"]}}
    clips = read("npz", file, "columns={replication: take}")
    assert [(clip.label, clip.subject, clip.replication) for clip in clips] == [(1, 3, 7), (0, 1, 8), (1, 2, 9)]
    assert [clip.label for clip in read("npz", file, "columns={label: label}")] == [4, 5, 6]


def test_labels_from_one_on_leave_no_empty_class(tmp_path: Path) -> None:
    file = flat(tmp_path, label=np.array([1, 3, -1]))
    assert READERS["npz"](file).class_names == ("1", "2", "3")
    assert [clip.label for clip in read("npz", file)] == [0, 2, -1]


def test_the_files_own_axis_and_unit_yield_to_the_command_line(tmp_path: Path) -> None:
    file = flat(tmp_path, units=np.array("cm"), up=np.array("z"), root=None)
    pos = points(8, 5, 3).astype("f2")[:3].astype("f4")
    (own, *_), (told, *_) = read("npz", file), read("npz", file, "units=m", "up=y")
    np.testing.assert_array_equal(told.joints[0], pos)
    np.testing.assert_allclose(own.joints[0], 0.01 * pos[..., [0, 2, 1]] * np.array([-1, 1, 1]), rtol=1e-6)


FLAT_DAMAGE: dict[str, tuple[dict[str, Any], str]] = {
    "unit": ({"units": np.array("ells")}, "units: unknown 'ells'"),
    "misspelt": ({"offset": np.zeros(4)}, "unknown member 'offset'; did you mean 'offsets'"),
    "column": ({}, "columns: label: there is no member 'content'; it holds"),
    "root": ({"root": points(7, 3)}, "root: has shape (7, 3); expected one row of 3 for each row of pos"),
    "offsets and frames": ({"frames": LENGTHS}, "offsets: are for flat coordinates without frames"),
    "offsets from 1": ({"offsets": np.array([1, 4, 8])}, "offsets: expected one row of whole numbers, the first 0"),
    "offsets down": ({"offsets": np.array([0, 5, 4, 8])}, "frames: must be at least 0"),
    "no lengths": ({"offsets": None}, "frames: missing"),
    "two roots": ({"parents": np.array([-1, 0, -1, 1, 1])}, "parents: joints do not share one root"),
    "ring": ({"parents": np.array([-1, 2, 1, 0, 0])}, "parents: joints do not share one root"),
    "parent beyond": ({"parents": np.array([-1, 0, 1, 1, 5])}, "parents: must be numbers of joints, below 5"),
    "no parents": ({"parents": None}, "joints, parents: with pos, give (V,) names"),
    "split words": ({"split": np.array([["val"], ["test"], [""]])}, "split: holds other words"),
    "no places": ({"pos": None}, "pos: missing; joints holds names"),
}


@pytest.mark.parametrize("damage", FLAT_DAMAGE)
def test_damage_is_named(damage: str, tmp_path: Path) -> None:
    members, message = FLAT_DAMAGE[damage]
    file = flat(tmp_path, **members)
    words = ["columns={label: content}"] if damage == "column" else []
    with pytest.raises(UserError) as told:
        read("npz", file, *words)
    assert str(told.value).startswith(f"{file}: ")
    assert message in str(told.value)


# The corpora at hand: what to say, and by how much bones may change (a share of their length; Kinects err).
CORPORA: dict[str, tuple[tuple[str, ...], float]] = {
    **dict.fromkeys(("cmu_amc", "cmu_cc_bvh", "cmu_dance_bvh", "hdm05_11"), ((), 0.01)),
    "bandai_namco": (("columns={label: content}",), 0.01),
    **dict.fromkeys(("kard", "irds_subset"), ((), 0.1)),
    "kinder_gator_adults": ((), 0.2),
    **dict.fromkeys(("cad60", "react_idle"), ((), 0.01)),
}


@pytest.mark.skipif("SSL_SKEL_DATA" not in os.environ, reason="needs SSL_SKEL_DATA")
def test_the_2d_corpus_reads_as_people() -> None:
    """Heads above feet, no larger than their images, and three splits with both sides."""
    file = Path(os.environ["SSL_SKEL_DATA"]) / "corpora/jhmdb_2d/jhmdb_2d.npz"
    if not file.is_file():
        pytest.skip("the corpus is not there")
    clips = read("npz", file, "up=-y", "units=m")
    assert len(clips) == 609
    assert {clip.joints.shape[2:] for clip in clips} == {(15, 2)}
    reader = open_reader("npz", file, None, ["up=-y", "units=m"])
    head, feet = reader.layout.joints.index("face"), reader.layout.joints.index("left_ankle")
    upright = [np.nanmedian(clip.joints[0, :, head, 1] - clip.joints[0, :, feet, 1]) > 0 for clip in clips]
    assert np.mean(upright) > 0.8
    assert len([name for name in reader.splits if name.startswith("given")]) == 3


@pytest.mark.skipif("SSL_SKEL_DATA" not in os.environ, reason="needs SSL_SKEL_DATA")
@pytest.mark.parametrize("corpus", CORPORA)
def test_a_corpus_reads_as_people(corpus: str) -> None:
    """Heads above feet, of human height, and bones that keep their length."""
    folder = Path(os.environ["SSL_SKEL_DATA"]) / "corpora" / corpus
    if not folder.is_dir():
        pytest.skip("the corpus is not there")
    words, change = CORPORA[corpus]
    reader_of: Callable[..., Any] = READERS["npz"]
    layout = reader_of(folder / f"{corpus}.npz").layout
    head, feet = (
        [at for at, name in enumerate(layout.joints) if re.search(part, name, re.IGNORECASE)]
        for part in ("head|face", "foot|ankle")
    )
    for clip in read("npz", folder / f"{corpus}.npz", *words)[:40]:
        bones = np.linalg.norm(clip.joints - clip.joints[:, :, list(layout.parents)], axis=-1)[0]
        length = np.median(bones, 0)
        long = length > 0.1
        assert (np.abs(bones - length) / np.where(long, length, 1))[:, long].mean() < change
        heights = np.ptp(clip.joints[0, ..., 1], axis=1)
        assert 0.5 < np.median(heights) < 2.0
        height = np.nanmedian(clip.joints[0, ..., 1], axis=0)
        assert height[head].mean() > height[feet].mean() + 0.3
