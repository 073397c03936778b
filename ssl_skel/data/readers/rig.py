"""Rigs of motion capture: names for their joints, and the layout of a hierarchy."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout, parse_layout
from ssl_skel.layouts.mapping import JointMap, joint_map

_SIDES = {"left": "left_", "l": "left_", "right": "right_", "r": "right_"}
_NAMES_BONES = {"arm", "upper_arm", "upperarm", "up_arm", "up_leg", "upper_leg", "thigh"}
_BONES = {
    **dict.fromkeys(("up_leg", "upper_leg", "thigh"), "hip"),
    **dict.fromkeys(("leg", "lower_leg", "low_leg", "shin", "calf"), "knee"),
    **{"foot": "ankle", "toe_base": "foot", "toe": "foot", "toe0": "foot"},
    **dict.fromkeys(("shoulder", "clavicle"), "collar"),
    **dict.fromkeys(("arm", "upper_arm", "upperarm", "up_arm", "shldr"), "shoulder"),
    **dict.fromkeys(("fore_arm", "forearm", "lower_arm", "low_arm"), "elbow"),
    "hand": "wrist",
}
_ACROSS = ("shoulder", "collar", "hip")
_ACCLAIM_ENDS = {
    **{"root": "pelvis", "lowerback": "lower_back", "upperback": "upper_back", "thorax": "thorax"},
    **{"lowerneck": "neck", "upperneck": "upper_neck", "head": "head_top"},
    **{"hipjoint": "hip", "femur": "knee", "tibia": "ankle", "foot": "foot", "toes": "toes", "clavicle": "shoulder"},
    **{"humerus": "elbow", "radius": "wrist", "wrist": "palm", "hand": "hand", "fingers": "hand_tip", "thumb": "thumb"},
}
"""Bones of an Acclaim skeleton (CMU, HDM05) -> the joint of ``hdm05-31`` at their lower ends."""
END = "\0end"
"""What an end site, which has no name, is called until ``joint_names`` names it."""


def joint_names(raw: Sequence[str], parents: Sequence[int], given: Mapping[str, str]) -> tuple[str, ...]:
    """A rig's joint names as layouts write them: ``mixamorig:LeftUpLeg`` is ``left_hip``.

    Prefixes that all joints share are dropped, words separated, sides (left, L, right, R) put in front. Where a rig has
    arms and thighs, it names bones; a bone's joint is at its upper end, so its ``LeftArm`` is the shoulder, its
    ``LeftShoulder`` the collar, its ``LeftFoot`` the ankle. An end site is called after its parent. A side without a
    counterpart is not a side. Paper silent: rigs follow habits, not a rule.

    A list of places that goes by Acclaim's bones (lfemur, ltibia, …) has the bones' lower ends: ``lfemur`` is the left
    knee.

    Args:
        raw: names in the file, ``END`` for end sites.
        parents: (V,) of each joint, itself at the root.
        given: name in the file -> name wanted, which takes precedence.
    """
    given = _acclaim(raw) | dict(given)
    sided = _sided(raw)
    names_bones = any(word in _NAMES_BONES for _, word in sided.values())
    names: list[str] = []
    for name, parent in zip(raw, parents, strict=True):
        if name == END:
            own = "head_top" if names[parent] == "head" else f"{names[parent]}_end"
        elif name in given:
            own = given[name]
        else:
            own = _joint_of(sided[name], set(sided.values()), names_bones=names_bones)
        names.append(_unique(own, names))
    return _without_lone_sides(names)


def _acclaim(raw: Sequence[str]) -> dict[str, str]:
    """Names of Acclaim's bones, as in the file, -> the joints at their lower ends; nothing for any other rig.

    A hierarchy with end sites, as BVH has it, counts joints at the upper ends.
    """
    if END in raw or not {"lfemur", "ltibia", "lhumerus", "lradius"} <= set(raw):
        return {}
    sides = {"": "", "l": "left_", "r": "right_"}
    ends = {side + bone: sides[side] + joint for bone, joint in _ACCLAIM_ENDS.items() for side in sides}
    return {name: ends[name] for name in raw if name in ends}


def _sided(raw: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Side ("" in the middle) and word of each name, without a prefix that all share; end sites have none."""
    words = {name: _words(name) for name in raw if name != END}
    while len(words) > 1 and len({parts[0] for parts in words.values()}) == 1 and max(map(len, words.values())) > 1:
        words = {name: parts[1:] or parts for name, parts in words.items()}
    return {name: _side(parts) for name, parts in words.items()}


def _joint_of(sided: tuple[str, str], taken: Collection[tuple[str, str]], *, names_bones: bool) -> str:
    """The joint that a side and a word mean; where rigs name bones, the one at the bone's upper end.

    The word itself stays where the rig has that joint under its own name, as a rig with both LeftHand and LeftWrist.
    """
    side, word = sided
    joint = word
    if not side and word in ("hips", "hip"):
        joint = "hip_centre"
    elif side and names_bones:
        joint = _BONES.get(word, word)
    is_free = (side, joint) not in taken or _BONES.get(joint, joint) != joint
    return side + (joint if is_free else word)


def _without_lone_sides(names: Sequence[str]) -> tuple[str, ...]:
    """A side without a counterpart is not a side."""
    found = list(names)
    for joint, name in enumerate(found):
        if _other_side(name) not in (name, *found):
            found[joint] = _unique(name.split("_", 1)[1], found)
    return tuple(found)


def rig_layout(joints: Sequence[str], parents: Sequence[int], source: str) -> SkeletonLayout:
    """The layout of a hierarchy.

    Clips are centred on the joint that both hips are attached to. Body groups are the connected joints of one side:
    the trunk, and each limb. Each is divided at half its length.

    Args:
        joints: (V,) names, as ``joint_names`` makes them.
        parents: (V,) of each joint, in any order; itself at the root.
        source: the file, for messages.

    Raises:
        UserError: it has no left and right, or not one root for all joints.
    """
    left = [name for name in joints if name.startswith("left_")]
    if not left:
        raise UserError(f"{source}: has no joints named left and right, so no layout follows from it; name some")
    across = next((f"left_{word}" for word in _ACROSS if f"left_{word}" in left), left[0])
    order = _parents_first(parents, source)
    body: dict[str, list[int]] = {}
    group, depth = dict[int, str](), dict[int, int]()
    for joint in order:
        parent = parents[joint]
        same = joint != parent and _sign(joints[joint]) == _sign(joints[parent])
        group[joint] = group[parent] if same else joints[joint]
        depth[joint] = depth[parent] + 1 if same else 0
        body.setdefault(group[joint], []).append(joint)
    part: dict[str, list[int]] = {}
    for members in body.values():
        half = max(depth[joint] for joint in members) // 2
        for side in (True, False):
            some = [joint for joint in members if (depth[joint] <= half) is side]
            if some:
                part[joints[some[0]]] = some
    data: dict[str, Any] = {
        "name": f"rig{len(joints)}",
        "joints": list(joints),
        "bones": {joints[j]: joints[parent] for j, parent in enumerate(parents) if j != parent},
        "centre": joints[_centre(joints, parents, order[0])],
        "across": [across, _other_side(across)],
        "body": {name: [joints[joint] for joint in members] for name, members in body.items()},
        "part": {name: [joints[joint] for joint in members] for name, members in part.items()},
    }
    return parse_layout(data, source)


def _centre(joints: Sequence[str], parents: Sequence[int], root: int) -> int:
    """The joint that both hips are attached to, as a root may be on the floor; else the one so named, else the root."""
    if not {"left_hip", "right_hip"} <= set(joints):
        return joints.index("hip_centre") if "hip_centre" in joints else root
    above = [[joints.index(f"{side}_hip")] for side in ("left", "right")]
    for chain in above:
        while parents[chain[-1]] != chain[-1]:
            chain.append(parents[chain[-1]])
    return next(joint for joint in above[0] if joint in above[1])


def rig_map(own: SkeletonLayout, wanted: SkeletonLayout, source: str) -> JointMap:
    """The map from a rig to a layout, by name.

    Raises:
        UserError: nothing could be the layout's centre or an end of its line across the body.
    """
    found = joint_map(own, wanted)
    needed = [wanted.joints[joint] for joint in (wanted.centre, *wanted.across)]
    lost = [name for name in needed if name in found.missing]
    if lost:
        raise UserError(f"{source}: has no joint that could be {lost[0]}; name it under joints in recordings.yaml")
    return found


def known_layout(own: SkeletonLayout) -> SkeletonLayout:
    """The built-in layout whose joints have the same names in the same order; else the rig's own."""
    return next((layout for layout in LAYOUTS.values() if layout.joints == own.joints), own)


def _parents_first(parents: Sequence[int], source: str) -> list[int]:
    """Joints, each after its parent; the root is the first."""
    order = [joint for joint, parent in enumerate(parents) if joint == parent]
    for joint in order:
        order += [child for child, parent in enumerate(parents) if parent == joint != child]
    if len(order) < len(parents) or not order or sum(map(int.__eq__, parents, range(len(parents)))) > 1:
        raise UserError(f"{source}: parents: joints do not share one root; give one joint -1, and all others a parent")
    return order


def _words(name: str) -> list[str]:
    """Words of a name in any writing: LHipJoint, left_hip, Bip01 L Thigh, mixamorig:Hips."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.rpartition(":")[2])
    words = [word for word in re.split(r"[^a-z0-9]+", parted.lower()) if word] or ["joint"]
    return ["centre" if word == "center" else word for word in words]


def _side(words: Sequence[str]) -> tuple[str, str]:
    """Side and the rest of a name, which has no side any more; a lone letter is a side only at one of its ends."""
    side, rest = "", list(words)
    for at, word in enumerate(words):
        if word in _SIDES and len(words) > 1 and (len(word) > 1 or at in (0, len(words) - 1)):
            side, rest = _SIDES[word], [*words[:at], *words[at + 1 :]]
            break
    return side, "_".join(word for word in rest if word not in ("left", "right")) or "joint"


def _sign(name: str) -> str:
    return name.split("_", 1)[0] if name.startswith(("left_", "right_")) else ""


def _other_side(name: str) -> str:
    other = {"left": "right_", "right": "left_", "": ""}[_sign(name)]
    return other + name.split("_", 1)[1] if other else name


def _unique(name: str, taken: Sequence[str]) -> str:
    number = 2
    own = name
    while own in taken:
        own, number = f"{name}_{number}", number + 1
    return own
