"""Joint layouts: which joints a skeleton has, how they are connected, and how they group.

A layout is a small YAML file. The built-in ones are in ``ssl_skel/layouts``; a user's own is the same file under any
name, and works wherever a built-in name does::

    name: hand3
    joints: [wrist, left_tip, right_tip]
    bones: {left_tip: wrist, right_tip: wrist}     # child: parent; the root joint has none
    centre: wrist                                  # the joint that clips are centred on
    across: [left_tip, right_tip]                  # left and right joint that show where a body faces
    body: {palm: [wrist], fingers: [left_tip, right_tip]}              # coarse groups of joints
    part: {palm: [wrist], left: [left_tip], right: [right_tip]}        # finer groups

Mirror pairs follow from the names: ``left_x`` belongs to ``right_x``. Other pairs are listed under
``mirror: [[a, b], …]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ssl_skel.errors import UserError, why_unreadable
from ssl_skel.names import nearest, unknown
from ssl_skel.plain_yaml import read_yaml

Level = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class SkeletonLayout:
    """Joints of a skeleton, by number.

    Attributes:
        name: what configs and stores call it.
        joints: joint names, V of them.
        parents: (V,) parent of each joint; the root is its own parent, so its bone is zero.
        mirror: (V,) the joint on the other side, or the joint itself.
        centre: joint that clips are centred on.
        across: left and right joint of the line across the body (shoulders); shows where it faces.
        body: coarse partition of the joints (5 groups in the built-in layouts).
        part: finer partition (10 groups in the built-in layouts); each is inside one body group.
        body_names, part_names: names of the groups.
        score: each joint's last channel is its estimator's score, 0 where it was not found; it is not a coordinate.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    mirror: tuple[int, ...]
    centre: int
    across: tuple[int, int]
    body: Level
    part: Level
    body_names: tuple[str, ...]
    part_names: tuple[str, ...]
    score: bool = False

    @property
    def num_joints(self) -> int:
        """V."""
        return len(self.joints)

    @property
    def root(self) -> int:
        """The joint without a parent."""
        return next(joint for joint, parent in enumerate(self.parents) if joint == parent)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(child, parent) pairs, V - 1 of them."""
        return tuple((j, p) for j, p in enumerate(self.parents) if j != p)

    def with_score(self) -> SkeletonLayout:
        """The same joints, each with a score."""
        return replace(self, name=f"{self.name}_score", score=True)

    def without_score(self) -> SkeletonLayout:
        """The same joints without scores."""
        return replace(self, name=self.name.removesuffix("_score"), score=False) if self.score else self

    def coordinates(self, channels: int) -> int:
        """How many of a joint's channels, the first ones, are coordinates: all of them, or all but the score."""
        return channels - self.score

    def level(self, name: str) -> Level:
        """Partition of the joints named ``body``, ``part`` or ``joint``.

        >>> layout = LAYOUTS["sbu15"]
        >>> [[layout.joints[joint] for joint in group] for group in layout.level("body")][0]
        ['head', 'neck', 'torso']

        Raises:
            KeyError: no such level.
        """
        joint: Level = tuple((j,) for j in range(self.num_joints))
        return {"body": self.body, "part": self.part, "joint": joint}[name]

    def membership(self, level: str) -> np.ndarray:
        """(P, V) float32 matrix, 1 where a joint belongs to a group of the level."""
        groups = self.level(level)
        matrix = np.zeros((len(groups), self.num_joints), np.float32)
        for row, group in enumerate(groups):
            matrix[row, list(group)] = 1
        return matrix

    def adjacency(self, level: str = "joint") -> np.ndarray:
        """(P, P) float32 symmetric 0/1 matrix with self-loops: groups joined by a bone."""
        member = self.membership(level)
        joint = np.eye(self.num_joints, dtype=np.float32)
        for child, parent in self.bones:
            joint[child, parent] = joint[parent, child] = 1
        return (member @ joint @ member.T > 0).astype(np.float32)

    def directions(self) -> np.ndarray:
        """(3, V, V) float32: row j holds what joint j gathers from: itself, its children, its parent.

        The three subsets of ST-GCN's descendants (2s-AGCN, CTR-GCN: graph/tools.py). Each row with entries sums to 1;
        in their codes columns do.
        """
        itself = np.eye(self.num_joints, dtype=np.float32)
        inward = np.zeros_like(itself)
        for child, parent in self.bones:
            inward[parent, child] = 1
        stack = np.stack([itself, inward, inward.T])
        return stack / np.maximum(stack.sum(2, keepdims=True), 1)

    def mirrored(self, joints: np.ndarray) -> np.ndarray:
        """The same motion with left and right exchanged: (..., V, C), x negated and each joint at its counterpart's."""
        swapped = joints[..., list(self.mirror), :]
        swapped[..., 0] = -swapped[..., 0]
        return swapped

    @property
    def chest(self) -> int:
        """The middle joint of the path from one end of ``across`` to the other; of two, the one nearer its left end.

        The top of the spine of a Kinect: where ST-GCN and CTR-GCN root their graphs.
        """
        left, right = map(self._upward, self.across)
        meeting = next(joint for joint in left if joint in right)
        path = [*left[: left.index(meeting)], meeting, *reversed(right[: right.index(meeting)])]
        return path[(len(path) - 1) // 2]

    def rooted_at(self, joint: int) -> SkeletonLayout:
        """The same bones, with another joint as the root: parents between it and the root change places."""
        path = self._upward(joint)
        parents = list(self.parents)
        parents[joint] = joint
        for child, parent in pairwise(path):
            parents[parent] = child
        return replace(self, parents=tuple(parents))

    def _upward(self, joint: int) -> list[int]:
        """The joint, its parent and so on, to the root."""
        path = [joint]
        while path[-1] != self.root:
            path.append(self.parents[path[-1]])
        return path

    def to_dict(self) -> dict[str, Any]:
        """The YAML form; ``parse_layout`` reads it back."""

        def named(names: tuple[str, ...], level: Level) -> dict[str, list[str]]:
            return {name: [self.joints[j] for j in group] for name, group in zip(names, level, strict=True)}

        return {
            "name": self.name,
            "joints": list(self.joints),
            "bones": {self.joints[c]: self.joints[p] for c, p in self.bones},
            "mirror": [[self.joints[a], self.joints[b]] for a, b in enumerate(self.mirror) if a < b],
            "centre": self.joints[self.centre],
            "across": [self.joints[j] for j in self.across],
            "body": named(self.body_names, self.body),
            "part": named(self.part_names, self.part),
        } | ({"score": True} if self.score else {})


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_groups(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value)) and all(map(_is_names, value.values()))


_GROUPS = (_is_groups, "groups of joints, as in {arms: [left_hand, right_hand]}")
_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_text, "a name"),
    "joints": (_is_names, "a list of joint names"),
    "bones": (lambda value: isinstance(value, dict) and _is_names([*value, *value.values()]), "{child: parent, ...}"),
    "centre": (_is_text, "the name of a joint"),
    "across": (_is_names, "two joint names, left then right"),
    "body": _GROUPS,
    "part": _GROUPS,
    "mirror": (lambda value: isinstance(value, list) and all(map(_is_names, value)), "pairs of joints, [[a, b], ...]"),
    "score": (lambda value: isinstance(value, bool), "true or false"),
}
_FIELDS = tuple(key for key in _FORMS if key not in ("mirror", "score"))  # what a layout needs


def parse_layout(data: Any, source: str) -> SkeletonLayout:
    """Check a layout in its YAML form and number its joints.

    Args:
        data: what the YAML file holds.
        source: name of the file, for messages.

    Raises:
        UserError: naming source, field and remedy.
    """
    if not isinstance(data, Mapping):
        raise UserError(f"{source}: a layout is a mapping with the keys {', '.join(_FIELDS)}")
    for key in _FIELDS:
        if key not in data:
            raise UserError(f"{source}: {key}: missing; a layout needs {', '.join(_FIELDS)}")
    for key, value in data.items():
        if key not in _FORMS:
            raise UserError(f"{source}: {key}: unknown key{nearest(key, _FORMS)}")
        form, words = _FORMS[key]
        if not form(value):
            raise UserError(f"{source}: {key}: is {value!r}; write {words}")
    joints = tuple(data["joints"])
    if len(set(joints)) != len(joints) or not joints:
        raise UserError(f"{source}: joints: names must be unique and at least one")
    number = {joint: index for index, joint in enumerate(joints)}

    def find(joint: Any, field: str) -> int:
        if joint not in number:
            raise unknown("joint", joint, joints, where=f"{source}: {field}")
        return number[joint]

    parents = _parents(data["bones"], joints, find, source)
    body, part = (_level(data[key], key, joints, find, source) for key in ("body", "part"))
    for name, group in zip(data["part"], part, strict=True):
        if not any(set(group) <= set(coarse) for coarse in body):
            raise UserError(f"{source}: part.{name}: its joints are in several body groups; split it")
    across = [find(joint, "across") for joint in data["across"]]
    if len(set(across)) != 2:
        raise UserError(f"{source}: across: give two joints, left then right")
    return SkeletonLayout(
        name=str(data["name"]),
        joints=joints,
        parents=parents,
        mirror=_mirror(data.get("mirror", []), joints, find, source),
        centre=find(data["centre"], "centre"),
        across=(across[0], across[1]),
        body=body,
        part=part,
        body_names=tuple(data["body"]),
        part_names=tuple(data["part"]),
        score=data.get("score", False),
    )


def _parents(bones: Mapping[str, str], joints: Sequence[str], find: Any, source: str) -> tuple[int, ...]:
    parents = list(range(len(joints)))
    for child, parent in bones.items():
        parents[find(child, "bones")] = find(parent, f"bones.{child}")
    roots = [joint for joint, parent in zip(range(len(joints)), parents, strict=True) if joint == parent]
    if len(roots) > 1:
        names = ", ".join(joints[joint] for joint in roots)
        raise UserError(f"{source}: bones: {names} have no parent; all joints but one need one")
    for joint in range(len(joints)):
        seen, at = [joint], joint
        while parents[at] != at:
            at = parents[at]
            if at in seen:
                ring = " -> ".join(joints[j] for j in [*seen[seen.index(at) :], at])
                raise UserError(f"{source}: bones: a cycle, {ring}; remove one of these bones")
            seen.append(at)
    return tuple(parents)


def _level(groups: Mapping[str, Sequence[str]], key: str, joints: Sequence[str], find: Any, source: str) -> Level:
    level = tuple(tuple(find(joint, f"{key}.{name}") for joint in group) for name, group in groups.items())
    flat = [joint for group in level for joint in group]
    for joint, name in enumerate(joints):
        if flat.count(joint) != 1:
            where = "no group" if joint not in flat else "several groups"
            raise UserError(f"{source}: {key}: joint {name!r} is in {where}; it needs exactly one")
    if any(not group for group in level):
        raise UserError(f"{source}: {key}: a group is empty; remove it")
    return level


def _mirror(pairs: Sequence[Sequence[str]], joints: Sequence[str], find: Any, source: str) -> tuple[int, ...]:
    mirror = list(range(len(joints)))
    for joint, name in enumerate(joints):
        for side, other in (("left", "right"), ("right", "left")):
            if side in _words(name) and name.replace(side, other) in joints:
                mirror[joint] = joints.index(name.replace(side, other))
    for pair in pairs:
        if len(pair) != 2:
            raise UserError(f"{source}: mirror: {list(pair)} is not a pair of joints")
        left, right = (find(joint, "mirror") for joint in pair)
        mirror[left], mirror[right] = right, left
    for joint, name in enumerate(joints):
        if mirror[mirror[joint]] != joint:
            raise UserError(f"{source}: mirror: joint {name!r} is in two pairs; keep one")
        if mirror[joint] == joint and {"left", "right"} & set(_words(name)):
            raise UserError(f"{source}: mirror: {name!r} has no counterpart; name it, or list its pair")
    return tuple(mirror)


def _words(name: str) -> list[str]:
    return re.split(r"[_\W]+", name.lower())


_FASTEST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first reads fifteen layouts in 20 ms, the second in 200


def _shipped(name: str) -> SkeletonLayout:
    path = Path(__file__).with_name(f"{name}.yaml")
    return parse_layout(yaml.load(path.read_text("utf-8"), Loader=_FASTEST), path.name)  # noqa: S506 - both are safe


_SHIPPED = (
    *("kinect20", "ntu25", "sbu15", "coco17", "common15", "florence15", "msr20", "openpose18", "openpose25"),
    *("halpe26", "mediapipe33", "h36m17", "smpl24", "hdm05-31", "hand21"),
)
LAYOUTS: dict[str, SkeletonLayout] = {name: _shipped(name) for name in _SHIPPED}


LayoutLike = str | SkeletonLayout
"""A layout, its name, or the path of its YAML file."""


def load_layout(name: LayoutLike) -> SkeletonLayout:
    """A built-in layout by name, or a user's own by the path of its YAML file; a layout is itself.

    Raises:
        UserError: no such layout or file, or the file is not a valid layout.
    """
    if isinstance(name, SkeletonLayout):
        return name
    if name in LAYOUTS:
        return LAYOUTS[name]
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        raise unknown("layout", name, LAYOUTS)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = why_unreadable(error, "give the path of a layout's YAML")
        raise UserError(f"{path}: cannot be read: {why}") from error
    return parse_layout(read_yaml(text, str(path)), str(path))
