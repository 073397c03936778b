"""BVH: forward kinematics against matrices, names of rigs, layouts from hierarchies, damage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_files
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_clips import read
from raw_files import ARMS, Bone, points
from scipy.spatial.transform import Rotation

from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.readers.rig import END, joint_names, rig_layout
from ssl_skel.data.sources.open import open_reader
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, parse_layout


def naive(bones: Sequence[Bone], motion: np.ndarray) -> np.ndarray:
    """(T, V, 3), frame by frame and joint by joint, with 4 x 4 matrices."""
    places = np.zeros((len(motion), len(bones), 3))
    for t, row in enumerate(motion):
        numbers = iter(row)
        matrices: dict[str, np.ndarray] = {}
        for v, (name, parent, offset, channels) in enumerate(bones):
            matrix = np.eye(4)
            matrix[:3, 3] = offset
            told = [(channel[0], channel[1:], next(numbers)) for channel in channels.split()]
            for axis, kind, value in told:
                if kind == "position":
                    place = "XYZ".index(axis)
                    matrix[place, 3] = value + (0 if parent else offset[place])
            turns = [(axis, value) for axis, kind, value in told if kind == "rotation"]
            if turns:  # capital letters: each about the axes that the ones before have turned
                order, angles = "".join(axis for axis, _ in turns), [value for _, value in turns]
                matrix[:3, :3] = Rotation.from_euler(order, np.array(angles)[None], degrees=True).as_matrix()[0]
            if parent:
                matrix = matrices[parent] @ matrix
            matrices[name] = matrix
            places[t, v] = matrix[:3, 3]
    return places


def test_joints_are_placed_by_forward_kinematics(tmp_path: Path) -> None:
    motion = 60 * points(7, 24).astype(np.float64)
    raw_files.bvh(tmp_path, motion=motion)
    (clip,) = read("bvh", tmp_path)
    np.testing.assert_allclose(clip.joints, 0.01 * naive(ARMS, motion)[None], atol=1e-5)
    assert (clip.name, clip.label, clip.joints.dtype) == ("wave_clip01", 0, np.float32)


@st.composite
def rigs(draw: st.DrawFn) -> list[Bone]:
    """A tree of pairs of joints with any channels, parents first and limb by limb."""
    orders = st.permutations(["Xrotation", "Yrotation", "Zrotation"])
    places = st.permutations(["Xposition", "Yposition", "Zposition"])
    offsets = st.tuples(*[st.integers(-30, 30)] * 3)
    bones: list[Bone] = [("Root", "", draw(offsets), " ".join([*draw(places), *draw(orders)]))]
    for side in ("Left", "Right"):
        parent = "Root"
        for number in range(draw(st.integers(1, 3))):
            name = f"{side}Joint{number}"
            position = draw(places) if draw(st.booleans()) else []
            turns = draw(orders)[: draw(st.integers(1, 3))]
            channels = [*turns, *position] if draw(st.booleans()) else [*position, *turns]
            bones.append((name, parent, draw(offsets), " ".join(channels)))
            parent = name
    return bones


@settings(max_examples=25, deadline=None)
@given(bones=rigs(), seed=st.integers(0, 99))
def test_any_order_of_channels(bones: list[Bone], seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    counts = {name: 0 for name, *_ in bones}
    sides = [[name for name in counts if name.startswith(side)] for side in ("Left", "Right")]
    motion = np.round(90 * points(3, sum(len(bone[3].split()) for bone in bones), seed=seed).astype(np.float64), 6)
    folder = tmp_path_factory.mktemp("rig")
    raw_files.bvh(folder, motion=motion, bones=bones)
    (clip,) = read("bvh", folder, "units=m")
    np.testing.assert_allclose(clip.joints[0], naive(bones, motion), rtol=1e-5, atol=1e-3)
    assert min(map(len, sides)) == sum(name.startswith("left_") for name in open_reader("bvh", folder).layout.joints)


def test_endings_in_any_letters(tmp_path: Path) -> None:
    raw_files.bvh(tmp_path, "a").rename(tmp_path / "A.BVH")
    assert [clip.name for clip in read("bvh", tmp_path)] == ["A"]


def test_axes_and_units(tmp_path: Path) -> None:
    motion = 20 * points(2, 24).astype(np.float64)
    raw_files.bvh(tmp_path, motion=motion)
    raw_files.describe(tmp_path, {"up": "z", "units": "mm"})
    x, y, z = np.moveaxis(naive(ARMS, motion), -1, 0)
    np.testing.assert_allclose(read("bvh", tmp_path)[0].joints[0], np.stack([-x, z, y], -1) / 1000, atol=1e-6)
    found = read("bvh", tmp_path, "up=y", "units=m", "scale=0.056444")[0].joints[0]
    np.testing.assert_allclose(found, np.stack([x, y, z], -1) * 0.056444, atol=1e-5)


def test_lost_angles_lose_what_hangs_on_them(tmp_path: Path) -> None:
    motion = points(3, 24).astype(np.float64)
    motion[1, -1], motion[2, 6] = np.inf, np.nan  # the right fore-arm's angle, the spine's first
    raw_files.bvh(tmp_path, motion=motion)
    (clip,) = read("bvh", tmp_path)
    known = np.isfinite(clip.joints[0]).all(-1)
    assert known[0].all()
    assert np.flatnonzero(~known[1]).tolist() == [9]
    assert np.flatnonzero(known[2]).tolist() == [0, 1]


CHANGES: list[Callable[[str], str]] = [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: "\ufeff" + text,
    lambda text: text.rstrip("\n"),
    lambda text: text.replace("\n{", " {") + "\n\n",
    lambda text: text.replace(" ", "\t  ").replace("Frames:", "FRAMES:\t"),
    lambda text: text.replace("JOINT ", "JOINT ours:").replace("ROOT ", "ROOT ours:"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_writings_do_not_matter(change: Callable[[str], str], tmp_path: Path) -> None:
    file = raw_files.bvh(tmp_path)
    before, layout = read("bvh", tmp_path)[0].joints, open_reader("bvh", tmp_path).layout
    file.write_bytes(change(file.read_text("utf-8")).encode())
    np.testing.assert_array_equal(read("bvh", tmp_path)[0].joints, before)
    assert open_reader("bvh", tmp_path).layout == layout


def test_one_frame_and_names_that_are_no_utf8(tmp_path: Path) -> None:
    file = raw_files.bvh(tmp_path, motion=points(1, 24))
    file.write_bytes(file.read_text("utf-8").replace("Spine", "R\u00fccken a").encode("latin-1"))
    assert read("bvh", tmp_path)[0].joints.shape == (1, 1, 10, 3)
    convert("bvh", tmp_path, tmp_path / "store", normalize=NormalizeConfig(), progress=False)
    assert Store.open(tmp_path / "store").layout.num_joints == 10


# Names and layouts


RIGS: dict[str, tuple[str, str]] = {
    "Mixamo": (
        "mixamorig:Hips mixamorig:Spine1 mixamorig:Head END mixamorig:LeftShoulder mixamorig:LeftArm "
        "mixamorig:LeftForeArm mixamorig:LeftHand mixamorig:LeftUpLeg mixamorig:LeftLeg mixamorig:LeftFoot "
        "mixamorig:LeftToeBase",
        "hip_centre spine1 head head_top left_collar left_shoulder left_elbow left_wrist left_hip left_knee left_ankle "
        "left_foot",
    ),
    "Biovision": (
        "Hips LeftHip LeftKnee LeftAnkle Chest LeftCollar LeftShoulder LeftElbow LeftWrist Neck",
        "hip_centre left_hip left_knee left_ankle chest left_collar left_shoulder left_elbow left_wrist neck",
    ),
    "joints, no collar": (
        "Hips LeftHip LeftKnee LeftFoot LeftShoulder LeftElbow LeftHand",
        "hip_centre left_hip left_knee left_foot left_shoulder left_elbow left_hand",
    ),
    "Biped": (
        "Bip01 Bip01_Pelvis Bip01_L_Thigh Bip01_L_Calf Bip01_L_Foot Bip01_L_Toe0 Bip01_L_Clavicle Bip01_L_UpperArm",
        "bip01 pelvis left_hip left_knee left_ankle left_foot left_collar left_shoulder",
    ),
    "letters": (
        "root thigh_l calf_l LHipJoint l.hand upperLeg_L",
        "root left_hip left_knee left_hip_joint left_wrist left_hip_2",
    ),
}


@pytest.mark.parametrize("rig", RIGS)
def test_names_of_rigs(rig: str) -> None:
    theirs, ours = (text.split() for text in RIGS[rig])
    raw = [END if name == "END" else name for name in theirs]
    parents = [0, *range(len(raw) - 1)]
    sides = {"Left": "Right", "_L_": "_R_", "_l": "_r", "LH": "RH", "l.": "r.", "_L": "_R"}
    for name in raw[:]:
        mirrored = next((name.replace(left, right) for left, right in sides.items() if left in name), name)
        raw += [] if mirrored in raw else [mirrored]
        parents += [] if mirrored in raw[: len(parents)] else [0]
    found = joint_names(raw, parents, {})
    assert list(found[: len(ours)]) == ours
    assert {name.replace("right_", "left_") for name in found if "right_" in name} == {n for n in ours if "left_" in n}


def test_names_told_go_first_and_sides_need_two() -> None:
    names = joint_names(["Hips", "LeftHook", "RightHook", "LeftPocket", "LeftPocket"], [0] * 5, {"Hips": "pelvis"})
    assert names == ("pelvis", "left_hook", "right_hook", "pocket", "pocket_2")


def test_layout_of_a_hierarchy(tmp_path: Path) -> None:
    raw_files.bvh(tmp_path)
    layout = open_reader("bvh", tmp_path).layout
    assert layout.joints == (
        *("hip_centre", "spine", "head", "head_top"),
        *("left_shoulder", "left_elbow", "left_elbow_end", "right_shoulder", "right_elbow", "right_elbow_end"),
    )
    assert layout.parents == (0, 0, 1, 2, 1, 4, 5, 1, 7, 8)
    assert layout.mirror == (0, 1, 2, 3, 7, 8, 9, 4, 5, 6)
    assert (layout.centre, layout.across) == (0, (4, 7))
    assert dict(zip(layout.body_names, layout.body, strict=True)) == {
        "hip_centre": (0, 1, 2, 3),
        "left_shoulder": (4, 5, 6),
        "right_shoulder": (7, 8, 9),
    }
    assert dict(zip(layout.part_names, layout.part, strict=True)) == {
        **{"hip_centre": (0, 1), "head": (2, 3), "left_shoulder": (4, 5), "left_elbow_end": (6,)},
        **{"right_shoulder": (7, 8), "right_elbow_end": (9,)},
    }
    assert parse_layout(layout.to_dict(), "again") == layout


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_tree_with_two_sides_is_a_layout(data: st.DataObject) -> None:
    word = st.sampled_from(["Spine", "Head", "LeftArm", "RightArm", "L_Foot", "R_Foot", "Left", "tail l", END])
    raw = ["Hips", "LeftHand", "RightHand", *data.draw(st.lists(word, max_size=12))]
    parents = [0, 0, 0, *(data.draw(st.integers(0, joint - 1)) for joint in range(3, len(raw)))]
    layout = rig_layout(joint_names(raw, parents, {}), parents, "a rig")
    assert parse_layout(layout.to_dict(), "again") == layout
    assert layout.parents == tuple(parents)


def test_to_a_layout_by_name(tmp_path: Path) -> None:
    motion = points(3, 24).astype(np.float64)
    raw_files.bvh(tmp_path, motion=motion)
    (clip,) = read("bvh", tmp_path, layout="common15")
    own = 0.01 * naive(ARMS, motion)
    number = {name: v for v, name in enumerate(LAYOUTS["common15"].joints)}
    joints = clip.joints[0]
    for name, v in {"hip_centre": 0, "spine": 1, "head": 2, "left_shoulder": 4, "right_elbow": 8}.items():
        if name in number:
            np.testing.assert_allclose(joints[:, number[name]], own[:, v], atol=1e-5)
    np.testing.assert_allclose(joints[:, number["neck"]], (own[:, 4] + own[:, 7]) / 2, atol=1e-5)
    assert np.isnan(joints[:, number["left_knee"]]).all()


def test_names_in_the_description(tmp_path: Path) -> None:
    bones = [tuple("Xx" if part == "LeftArm" else part for part in bone) for bone in ARMS]
    file = raw_files.bvh(tmp_path, bones=bones)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="has no joint that could be left_shoulder; name it under joints"):
        read("bvh", tmp_path, layout="common15")
    raw_files.describe(tmp_path, {"layout": "common15", "joints": {"Xx": "left_shoulder"}})
    assert np.isfinite(read("bvh", file)[0].joints[0, :, LAYOUTS["common15"].joints.index("left_shoulder")]).all()
    raw_files.describe(tmp_path, {"joints": {"Yy": "left_shoulder"}})
    with pytest.raises(UserError, match="joints: 'Yy' is not one of its joints; they are "):
        read("bvh", tmp_path)


def test_files_of_one_folder_have_one_hierarchy(tmp_path: Path) -> None:
    raw_files.bvh(tmp_path, "a")
    longer = [(name, parent, [2 * x for x in offset], channels) for name, parent, offset, channels in ARMS]
    raw_files.bvh(tmp_path, "b", bones=longer)
    assert len(read("bvh", tmp_path)) == 2
    other = raw_files.bvh(tmp_path, "c", bones=[bone for bone in ARMS if bone[1] != "Head"])
    with pytest.raises(UserError) as told:
        read("bvh", tmp_path)
    assert str(told.value).startswith(f"{other}: has other joints than a.bvh; convert it separately, or give --layout")
    assert len(read("bvh", tmp_path, layout="common15")) == 3


def edited(folder: Path, old: str, new: str) -> Path:
    file = raw_files.bvh(folder, motion=np.zeros((2, 24)))
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    return file


ZEROS = " ".join(["0.000000"] * 24)
DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (lambda f: edited(f, raw_files.bvh_text(ARMS, np.zeros((2, 24))), ""), "the file ends too early"),
    "no BVH": (lambda f: edited(f, "HIERARCHY", "HIER"), "line 1: expected HIERARCHY; this is not a BVH file"),
    "words": (lambda f: edited(f, "JOINT Head", "JIONT Head"), "line 10: 'JIONT Head' is unexpected"),
    "brace": (lambda f: edited(f, "{\nOFFSET 0 30", "OFFSET 0 30"), "line 11: 'OFFSET 0 30 0' is unexpected"),
    "braces": (lambda f: edited(f, "}\nMOTION", "MOTION"), "'MOTION' is unexpected"),
    "two roots": (lambda f: edited(f, "JOINT Head", "ROOT Head"), "line 10: 'ROOT Head' is unexpected"),
    "no offset": (lambda f: edited(f, "OFFSET 0 20 0\n", ""), "'}' is unexpected"),
    "offset": (lambda f: edited(f, "OFFSET 0 20 0", "OFFSET 0 20"), "line 16: OFFSET: expected three numbers"),
    "channels": (lambda f: edited(f, "CHANNELS 2", "CHANNELS 3"), "CHANNELS: expected their number and as many"),
    "channel": (
        lambda f: edited(f, "Zrotation Xrotation\n", "Zrotation Wrotation\n"),
        "CHANNELS: expected their number",
    ),
    "no sides": (
        lambda f: raw_files.bvh(f, bones=ARMS[:4], motion=np.zeros((1, 12))),
        "has no joints named left and right",
    ),
    "frames": (lambda f: edited(f, "Frames: 2", "Frames: two"), "expected 'Frames:' and their number"),
    "time": (lambda f: edited(f, "Frame Time", "Time"), "expected 'Frame Time:'"),
    "fewer": (lambda f: edited(f, "Frames: 2", "Frames: 3"), "has 2 of 3 frames"),
    "more": (lambda f: edited(f, "Frames: 2", "Frames: 1"), "has 2 of 1 frames"),
    "last line": (
        lambda f: edited(f, f"{ZEROS}\n{ZEROS}", f"{ZEROS}\n{ZEROS[:-10]}"),
        "has 23 numbers for 24 channels",
    ),
    "number": (lambda f: edited(f, f"{ZEROS}\n" * 2, f"{ZEROS}\n{ZEROS[:-8]}x"), "line 53, column 24: is not a number"),
    "no frames": (lambda f: raw_files.bvh(f, motion=np.zeros((0, 24))), "has no frames"),
    "only NaN": (lambda f: raw_files.bvh(f, motion=np.full((2, 24), np.nan)), "has no tracked joint"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(damage: str, tmp_path: Path) -> None:
    write, message = DAMAGE[damage]
    file = write(tmp_path)
    with pytest.raises(UserError) as told:
        read("bvh", tmp_path)
    assert str(told.value).startswith(f"{file}: ")
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_damaged_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text("HIERARCHY\n")
    raw_files.bvh(tmp_path, "b")
    options: dict[str, Any] = {"normalize": NormalizeConfig(), "progress": False}
    with pytest.raises(UserError, match=r"a\.bvh: the file ends too early"):
        convert("bvh", tmp_path, tmp_path / "store", **options)
    assert convert("bvh", tmp_path, tmp_path / "store", skip_bad=True, **options)["clips"] == 1


def test_a_root_that_stays_behind_is_no_centre() -> None:
    names = ["root", "hip_centre", "spine", "left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    layout = rig_layout(names, [0, 0, 1, 2, 2, 1, 1], "test")
    assert layout.joints[layout.centre] == "hip_centre"
    others = ["root", "body", "spine", "left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    layout = rig_layout(others, [0, 0, 1, 2, 2, 1, 1], "test")  # whatever it is called
    assert layout.joints[layout.centre] == "body"
    arms = ["root", "hip_centre", "left_shoulder", "right_shoulder"]
    layout = rig_layout(arms, [0, 0, 1, 1], "test")
    assert layout.joints[layout.centre] == "hip_centre"
    layout = rig_layout(["chest", "left_shoulder", "right_shoulder"], [0, 0, 0], "test")
    assert layout.joints[layout.centre] == "chest"
