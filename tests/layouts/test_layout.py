"""Layouts: the built-in ones against print, a user's own against every mistake."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout, load_layout, parse_layout

HAND: dict[str, Any] = {
    "name": "hand3",
    "joints": ["wrist", "left_tip", "right_tip"],
    "bones": {"left_tip": "wrist", "right_tip": "wrist"},
    "centre": "wrist",
    "across": ["left_tip", "right_tip"],
    "body": {"palm": ["wrist"], "fingers": ["left_tip", "right_tip"]},
    "part": {"palm": ["wrist"], "left": ["left_tip"], "right": ["right_tip"]},
}


def changed(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(HAND) | changes


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> SkeletonLayout:
    return LAYOUTS[request.param]


def test_shipped_layouts_hold_together(layout: SkeletonLayout) -> None:
    count = layout.num_joints
    assert layout.parents[layout.root] == layout.root
    assert len(layout.bones) == count - 1
    for joint in range(count):
        at = joint
        for _ in range(count):
            at = layout.parents[at]
        assert at == layout.root, layout.joints[joint]
        assert layout.mirror[layout.mirror[joint]] == joint
    hand = layout.name == "hand21"  # five fingers and a palm, each in two
    assert len(layout.body) == len(layout.body_names) == (6 if hand else 5)
    assert len(layout.part) == len(layout.part_names) == (12 if hand else 10)
    for level in (layout.body, layout.part):
        assert sorted(joint for group in level for joint in group) == list(range(count))
    for group in layout.part:
        assert any(set(group) <= set(body) for body in layout.body)
    left, right = layout.across
    if hand:
        assert layout.mirror == tuple(range(count))
    else:
        assert layout.mirror[left] == right
        assert layout.joints[left].startswith("left")


def test_mirror_maps_bones_and_groups_onto_each_other(layout: SkeletonLayout) -> None:
    # COCO hangs both shoulders on the nose, so its tree is symmetric too.
    bones = {frozenset(bone) for bone in layout.bones}
    assert {frozenset(layout.mirror[joint] for joint in bone) for bone in bones} == bones
    for level in (layout.body, layout.part):
        groups = {frozenset(group) for group in level}
        assert {frozenset(layout.mirror[joint] for joint in group) for group in groups} == groups


def test_joint_counts_and_centres() -> None:
    counts = {name: layout.num_joints for name, layout in LAYOUTS.items()}
    assert all(str(count) in name for name, count in counts.items())  # a name ends in its count
    assert counts["hdm05-31"] == 31
    centres = {name: layout.joints[layout.centre] for name, layout in LAYOUTS.items()}
    assert centres == {
        **{"kinect20": "hip_centre", "msr20": "hip_centre", "common15": "hip_centre"},
        **{"ntu25": "spine_mid", "sbu15": "torso", "florence15": "spine"},
        **{"coco17": "nose", "mediapipe33": "nose", "openpose18": "neck"},
        **{"openpose25": "mid_hip", "halpe26": "mid_hip"},
        **{"h36m17": "pelvis", "smpl24": "pelvis", "hdm05-31": "pelvis", "hand21": "wrist"},
    }


# Published joint orders, in the publishers' own numbers, of layouts that a reader cannot check against a file at hand.
ORDERS = {
    "openpose18": {0: "nose", 1: "neck", 2: "right_shoulder", 5: "left_shoulder", 8: "right_hip", 13: "left_ankle"}
    | {14: "right_eye", 17: "left_ear"},
    "openpose25": {1: "neck", 4: "right_wrist", 8: "mid_hip", 9: "right_hip", 14: "left_ankle", 15: "right_eye"}
    | {19: "left_big_toe", 21: "left_heel", 24: "right_heel"},
    "halpe26": {0: "nose", 5: "left_shoulder", 16: "right_ankle", 17: "head_top", 18: "neck", 19: "mid_hip"}
    | {20: "left_big_toe", 25: "right_heel"},
    "mediapipe33": {0: "nose", 7: "left_ear", 10: "mouth_right", 11: "left_shoulder", 16: "right_wrist"}
    | {19: "left_index", 23: "left_hip", 28: "right_ankle", 29: "left_heel", 32: "right_foot_index"},
    "h36m17": {
        0: "pelvis",
        1: "right_hip",
        4: "left_hip",
        7: "spine",
        9: "nose",
        11: "left_shoulder",
        16: "right_wrist",
    },
    "smpl24": {0: "pelvis", 3: "spine1", 9: "spine3", 12: "neck", 15: "head", 16: "left_shoulder", 23: "right_hand"},
    "hand21": {0: "wrist", 4: "thumb_tip", 5: "index_mcp", 12: "middle_tip", 20: "pinky_tip"},
    "msr20": {0: "left_shoulder", 2: "shoulder_centre", 6: "hip_centre", 9: "left_wrist", 18: "right_foot", 19: "head"},
}


@pytest.mark.parametrize("name", ORDERS)
def test_joint_orders_are_the_published_ones(name: str) -> None:
    assert {number: LAYOUTS[name].joints[number] for number in ORDERS[name]} == ORDERS[name]


def test_smpl_tree_is_the_published_one() -> None:
    published = (0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
    assert LAYOUTS["smpl24"].parents == published


def test_ntu_bones_are_the_published_ones() -> None:
    # CTR-GCN, feeders/bone_pairs.py, counted from 1. There the root is 21, here the spine base, so two bones
    # point the other way; as pairs they are the same.
    published = [
        *[(1, 2), (2, 21), (3, 21), (4, 3), (5, 21), (6, 5), (7, 6), (8, 7), (9, 21), (10, 9), (11, 10), (12, 11)],
        *[(13, 1), (14, 13), (15, 14), (16, 15), (17, 1), (18, 17), (19, 18), (20, 19), (22, 23), (23, 8)],
        *[(24, 25), (25, 12)],
    ]
    ours = {frozenset((child + 1, parent + 1)) for child, parent in LAYOUTS["ntu25"].bones}
    assert ours == {frozenset(bone) for bone in published}


def test_nw_ucla_bones_are_the_published_ones() -> None:
    published = [
        *[(1, 0), (2, 1), (3, 2), (4, 2), (5, 4), (6, 5), (7, 6), (8, 2), (9, 8), (10, 9), (11, 10)],
        *[(12, 0), (13, 12), (14, 13), (15, 14), (16, 0), (17, 16), (18, 17), (19, 18)],
    ]
    assert sorted(LAYOUTS["kinect20"].bones) == sorted(published)


def test_ntu_groups_are_the_published_ones() -> None:
    # MPAE-Net (Zhang et al., ACML 2024), Fig. 2, and PSP-Learning's code; counted from 1.
    ntu = LAYOUTS["ntu25"]
    body = [
        {1, 2, 3, 4, 21},
        {5, 6, 7, 8, 22, 23},
        {9, 10, 11, 12, 24, 25},
        {13, 14, 15, 16},
        {17, 18, 19, 20},
    ]
    part = [
        {1, 2, 21},
        {3, 4},
        *[{5, 6, 7}, {8, 22, 23}, {9, 10, 11}, {12, 24, 25}],
        *[{13, 14}, {15, 16}, {17, 18}, {19, 20}],
    ]
    assert [{joint + 1 for joint in group} for group in ntu.body] == body
    assert [{joint + 1 for joint in group} for group in ntu.part] == part


def test_levels_and_matrices(layout: SkeletonLayout) -> None:
    assert layout.level("joint") == tuple((joint,) for joint in range(layout.num_joints))
    with pytest.raises(KeyError):
        layout.level("limb")
    for name in ("joint", "part", "body"):
        groups = layout.level(name)
        member = layout.membership(name)
        assert member.shape == (len(groups), layout.num_joints)
        assert member.dtype == np.float32
        np.testing.assert_array_equal(member.sum(0), 1)
        touching = np.zeros((len(groups), len(groups)), np.float32)
        for a, one in enumerate(groups):
            for b, other in enumerate(groups):
                bones = [(c, p) for c, p in layout.bones if (c in one and p in other) or (p in one and c in other)]
                touching[a, b] = a == b or bool(bones)
        np.testing.assert_array_equal(layout.adjacency(name), touching)


def test_round_trip_through_yaml(layout: SkeletonLayout) -> None:
    text = yaml.safe_dump(layout.to_dict(), sort_keys=False)
    assert parse_layout(yaml.safe_load(text), "again.yaml") == layout


def test_a_users_own_file(tmp_path: Path) -> None:
    file = tmp_path / "hand3.yaml"
    file.write_text(yaml.safe_dump(HAND, sort_keys=False), "utf-8")
    hand = load_layout(str(file))
    assert hand.parents == (0, 0, 0)
    assert hand.mirror == (0, 2, 1)
    assert hand.across == (1, 2)
    assert hand.body == ((0,), (1, 2))
    assert hand.part_names == ("palm", "left", "right")


def test_pairs_without_sides_in_their_names() -> None:
    data = changed(
        joints=["a", "b", "c"],
        bones={"b": "a", "c": "a"},
        centre="a",
        across=["b", "c"],
        body={"all": ["a", "b", "c"]},
        part={"all": ["a", "b", "c"]},
    )
    assert parse_layout(data, "x").mirror == (0, 1, 2)
    assert parse_layout(data | {"mirror": [["b", "c"]]}, "x").mirror == (0, 2, 1)


CYCLE = {"left_tip": "right_tip", "right_tip": "left_tip"}
FULL_CYCLE = {"wrist": "left_tip", "left_tip": "right_tip", "right_tip": "wrist"}
LONELY = ["wrist", "left_tip", "right_thumb"]

MISTAKES: dict[str, tuple[Any, str]] = {
    "no mapping": (["wrist"], "mapping"),
    "joints of another form": (changed(joints=3), "joints: is 3; write a list of joint names"),
    "joints that are numbers": (changed(joints=[1, 2]), "joints: is [1, 2]; write a list"),
    "bones empty": (changed(bones=None), "bones: is None; write {child: parent"),
    "across empty": (changed(across=None), "across: is None; write two joint names"),
    "groups in a list": (changed(body=["wrist"]), "body: is ['wrist']; write groups"),
    "centre in a list": (changed(centre=["wrist"]), "centre: is ['wrist']; write the name"),
    "mirror of numbers": (changed(mirror=[1]), "mirror: is [1]; write pairs"),
    "missing key": ({k: v for k, v in HAND.items() if k != "bones"}, "bones: missing"),
    "unknown key": (changed(center="wrist"), "center: unknown key; did you mean 'centre'"),
    "twice the same joint": (changed(joints=["wrist", "wrist", "left_tip"]), "joints: names must be unique"),
    "no joints": (changed(joints=[]), "joints: names must be unique and at least one"),
    "cycle": (changed(bones=CYCLE), "bones: a cycle, left_tip -> right_tip -> left_tip"),
    "cycle without a root": (changed(bones=FULL_CYCLE), "bones: a cycle, wrist -> left_tip -> right_tip -> wrist"),
    "two roots": (changed(bones={"left_tip": "wrist"}), "bones: wrist, right_tip have no parent"),
    "bone of no joint": (changed(bones=HAND["bones"] | {"elbow": "wrist"}), "bones: unknown joint 'elbow'"),
    "bone to no joint": (
        changed(bones={"left_tip": "wirst", "right_tip": "wrist"}),
        "bones.left_tip: unknown joint 'wirst'; did you mean 'wrist'",
    ),
    "centre of no joint": (changed(centre="palm"), "centre: unknown joint 'palm'"),
    "across of no joint": (changed(across=["left_tip", "tip"]), "across: unknown joint 'tip'"),
    "across of one joint": (changed(across=["left_tip", "left_tip"]), "across: give two joints"),
    "across of three joints": (changed(across=["left_tip", "right_tip", "wrist"]), "across: give two joints"),
    "joint in no group": (changed(body={"palm": ["wrist", "left_tip"]}), "body: joint 'right_tip' is in no group"),
    "joint in two groups": (
        changed(part=HAND["part"] | {"more": ["wrist"]}),
        "part: joint 'wrist' is in several groups",
    ),
    "joint twice in a group": (
        changed(part=HAND["part"] | {"palm": ["wrist", "wrist"]}),
        "part: joint 'wrist' is in several groups",
    ),
    "empty group": (changed(part=HAND["part"] | {"none": []}), "part: a group is empty"),
    "group of no joint": (changed(part=HAND["part"] | {"more": ["thumb"]}), "part.more: unknown joint 'thumb'"),
    "part across bodies": (
        changed(part={"left": ["wrist", "left_tip"], "right": ["right_tip"]}),
        "part.left: its joints are in several body groups",
    ),
    "unpaired side": (
        changed(
            joints=LONELY,
            bones={"left_tip": "wrist", "right_thumb": "wrist"},
            across=["left_tip", "right_thumb"],
            body={"all": LONELY},
            part={"all": LONELY},
        ),
        "mirror: 'left_tip' has no counterpart",
    ),
    "pair of three": (changed(mirror=[["wrist", "left_tip", "right_tip"]]), "is not a pair"),
    "pair of no joint": (changed(mirror=[["wrist", "thumb"]]), "mirror: unknown joint 'thumb'"),
    "joint in two pairs": (changed(mirror=[["wrist", "left_tip"]]), "is in two pairs"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake: str) -> None:
    data, message = MISTAKES[mistake]
    with pytest.raises(UserError) as told:
        parse_layout(data, "mine.yaml")
    assert str(told.value).startswith("mine.yaml: ")
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_unknown_names_and_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'kinect20'"):
        load_layout("kinect")
    with pytest.raises(UserError, match="cannot be read"):
        load_layout(str(tmp_path / "none.yaml"))
    (tmp_path / "broken.yaml").write_text("joints: [a", "utf-8")
    with pytest.raises(UserError, match=r"broken\.yaml: is not YAML"):
        load_layout(str(tmp_path / "broken.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(UserError, match=r"latin\.yaml: cannot be read: is not UTF-8"):
        load_layout(str(tmp_path / "latin.yaml"))
    (tmp_path / "code.yaml").write_text("!!python/object/apply:os.getcwd []", "utf-8")
    with pytest.raises(UserError, match=r"code\.yaml: is not YAML"):
        load_layout(str(tmp_path / "code.yaml"))


def test_a_side_is_a_word_of_a_name() -> None:
    joints = ["wrist", "upright"]
    data = HAND | {"joints": joints, "bones": {"upright": "wrist"}, "across": joints}
    layout = parse_layout(data | {"body": {"all": joints}, "part": {"all": joints}}, "mine.yaml")
    assert layout.mirror == (0, 1)


def test_directions_tell_children_from_parents() -> None:
    itself, children, parent = parse_layout(HAND, "test").directions()
    assert (itself == np.eye(3)).all()
    assert (children == [[0, 0.5, 0.5], [0, 0, 0], [0, 0, 0]]).all()
    assert (parent == [[0, 0, 0], [1, 0, 0], [1, 0, 0]]).all()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_directions_together_are_the_graph(layout: SkeletonLayout) -> None:
    stack = layout.directions()
    assert ((stack.sum(0) > 0) == (layout.adjacency() > 0)).all()
    assert np.isin(stack.sum(2).round(6), [0, 1]).all()


def test_the_chest_is_where_the_arms_hang() -> None:
    for name, joint in (("ntu25", "spine_shoulder"), ("kinect20", "shoulder_centre")):
        assert LAYOUTS[name].joints[LAYOUTS[name].chest] == joint
    assert parse_layout(HAND, "test").chest == 0


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_another_root_keeps_the_bones(layout: SkeletonLayout) -> None:
    for joint in range(layout.num_joints):
        moved = layout.rooted_at(joint)
        assert moved.root == joint
        assert {frozenset(bone) for bone in moved.bones} == {frozenset(bone) for bone in layout.bones}
    assert layout.rooted_at(layout.root) == layout
