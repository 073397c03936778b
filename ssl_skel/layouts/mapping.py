"""From one joint layout to another: by joint name and synonym, and averages where a joint has no counterpart.

All correspondences are in two tables, ``SYNONYMS`` and ``STAND_INS``. A side is not part of their words: ``left_hand``
is the word ``hand`` on the side ``left``, and stands in for joints of that side only, so every map is symmetric.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout

SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("hip_centre", "hip_center", "spine_base", "pelvis", "mid_hip", "root"),
    ("spine", "spine_mid", "torso", "spine2", "upper_back"),
    ("spine1", "lower_back"),
    ("shoulder_centre", "shoulder_center", "spine_shoulder", "thorax"),
    ("head", "upper_neck"),
    ("hand", "palm"),
    ("hand_tip", "fingers"),
    ("foot", "toe_base"),
    ("big_toe", "foot_index", "toes"),
)
"""Words for the same place, give or take some centimetres; the first of a row is its name in ``STAND_INS``. A joint of
exactly the requested name takes precedence over its synonyms, which follow in the order of the row."""

STAND_INS: dict[str, tuple[tuple[str, ...], ...]] = {
    "hip_centre": (("left_hip", "right_hip"),),
    "shoulder_centre": (("neck",), ("left_shoulder", "right_shoulder")),
    "neck": (("shoulder_centre",), ("left_shoulder", "right_shoulder")),
    "spine": (("hip_centre", "shoulder_centre"),),
    "spine1": (("hip_centre", "spine"),),
    "spine3": (("spine", "shoulder_centre"),),
    "head": (("left_ear", "right_ear"), ("left_eye", "right_eye"), ("nose",), ("head_top", "neck")),
    "head_top": (("head",),),
    "nose": (("left_eye", "right_eye"), ("left_ear", "right_ear"), ("head",)),
    "eye": (("eye_inner", "eye_outer"),),
    "collar": (("shoulder_centre", "shoulder"),),
    "wrist": (("hand",),),
    "hand": (("index", "pinky"), ("wrist",)),
    "ankle": (("foot",),),
    "foot": (("big_toe", "small_toe"), ("big_toe",), ("ankle",)),
    "big_toe": (("foot",),),
}
"""What takes the place of a joint that a layout lacks: alternatives, tried in order, each an average of joints that it
has or that can be given in their turn. Paper silent: no source was found for this; the choice follows anatomy. Tips of
fingers, heels, eyes and ears have no stand-in: what is missing stays missing."""

MIDDLE = frozenset({"hip_centre", "spine", "shoulder_centre", "neck", "head", "head_top", "nose"})
"""Words without a side; all others in ``STAND_INS`` are on the side of the joint they stand in for."""

_FIRST = {word: row[0] for row in SYNONYMS for word in row}
_ROW = {row[0]: row for row in SYNONYMS}


@dataclass(frozen=True, eq=False)
class JointMap:
    """Takes joints of one layout to another.

    Attributes:
        source, target: the layouts, Vs and Vt joints.
        weights: (Vt, Vs) float32; each row is an average over joints of the source and sums to 1, or is zero.
        missing: joints of the target for which the source has nothing (rows of zeros).
    """

    source: SkeletonLayout
    target: SkeletonLayout
    weights: np.ndarray
    missing: tuple[str, ...]

    def __call__(self, joints: np.ndarray) -> np.ndarray:
        """Joints (..., Vs, C) to (..., Vt, C), float32 or float64 as they came.

        NaN where the source has nothing, and where a joint that is needed is not finite.
        """
        known = np.isfinite(joints).all(-1)
        mapped: np.ndarray = self.weights @ np.where(known[..., None], joints, np.float32(0))
        needs = (self.weights > 0).astype(np.float32)
        unknown = (~known).astype(np.float32) @ needs.T > 0
        mapped[unknown | (needs.sum(1) == 0)] = np.nan
        return mapped


@cache
def joint_map(source: SkeletonLayout, target: SkeletonLayout) -> JointMap:
    """The map between two layouts.

    >>> from ssl_skel.layouts import LAYOUTS
    >>> joint_map(LAYOUTS["coco17"], LAYOUTS["kinect20"]).missing
    ()
    >>> joint_map(LAYOUTS["kinect20"], LAYOUTS["ntu25"]).missing
    ('left_hand_tip', 'left_thumb', 'right_hand_tip', 'right_thumb')

    Raises:
        UserError: one has scores and the other has none.
    """
    if source.score != target.score:
        raise UserError(
            f"layouts: only one of {source.name} and {target.name} has scores; convert both with or without"
        )
    weights = np.zeros((target.num_joints, source.num_joints), np.float32)
    for row, name in enumerate(target.joints):
        for joint, share in _find(name, source, frozenset()).items():
            weights[row, joint] = share
    weights.flags.writeable = False  # the map is kept and shared
    missing = tuple(name for name, row in zip(target.joints, weights, strict=True) if not row.any())
    return JointMap(source, target, weights, missing)


def _find(name: str, source: SkeletonLayout, barred: frozenset[str]) -> dict[int, float]:
    """Joints of the source, with their shares, that make up a joint; none where some are lacking.

    Words in ``barred`` are being looked for already.
    """
    side, word = _split(name)
    first = _FIRST.get(word, word)
    for candidate in (word, *_ROW.get(first, ())):
        if side + candidate in source.joints:
            return {source.joints.index(side + candidate): 1.0}
    if first in barred:
        return {}
    for members in STAND_INS.get(first, ()):
        sided = [member if _split(member)[0] or member in MIDDLE else side + member for member in members]
        found = [_find(member, source, barred | {first}) for member in sided]
        if all(found):
            shares: dict[int, float] = {}
            for joint, share in (item for one in found for item in one.items()):
                shares[joint] = shares.get(joint, 0.0) + share / len(members)
            return shares
    return {}


def _split(name: str) -> tuple[str, str]:
    """The side of a joint, as the start of its name, and the rest."""
    for side in ("left_", "right_"):
        if name.startswith(side):
            return side, name.removeprefix(side)
    return "", name
