"""A human body in the ntu25 layout and its forward kinematics.

Frame of a person: origin on the floor between the feet, y up, z forward, x to the person's left.
Trunk and head turn by angles. Arms and legs are given by where wrist and ankle go; the bend of elbow and
knee follows from the law of cosines, so that a foot stays where it stands on a body of any size.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from ssl_skel.layouts import LAYOUTS

LAYOUT = LAYOUTS["ntu25"]
JOINT = {name: index for index, name in enumerate(LAYOUT.joints)}

# Bone from parent to joint in metres, upright, arms hanging, a person of 1.70 m; right side mirrored.
# Lengths: near the mean adult's in Winter, Biomechanics and Motor Control of Human Movement, chapter 4.
_REST: dict[str, tuple[float, float, float]] = {
    "spine_mid": (0, 0.26, -0.01),
    "spine_shoulder": (0, 0.24, 0.0),
    "neck": (0, 0.07, 0.0),
    "head": (0, 0.15, 0.03),
    "left_shoulder": (0.17, -0.03, 0),
    "left_elbow": (0, -0.29, 0),
    "left_wrist": (0, -0.25, 0),
    "left_hand": (0, -0.07, 0),
    "left_thumb": (-0.02, -0.03, 0.04),
    "left_hand_tip": (0.02, -0.06, -0.04),
    "left_hip": (0.09, -0.05, 0),
    "left_knee": (0, -0.41, 0),
    "left_ankle": (0, -0.40, 0),
    "left_foot": (0, -0.05, 0.13),
}
SIDES = {"left": 1.0, "right": -1.0}
ANKLE_HEIGHT = 0.07
_ELBOW = (0.4, -1.0, -0.6)
_REACH = 0.995  # of a limb's length: elbow and knee never lock


def _depth(joint: int) -> int:
    return 0 if joint == LAYOUT.root else 1 + _depth(LAYOUT.parents[joint])


_OUTWARD = sorted(LAYOUT.bones, key=lambda bone: _depth(bone[0]))


@dataclass(frozen=True)
class Body:
    """Bone vectors of one person at rest.

    Attributes:
        offsets: (V, 3) from parent to joint, metres; the root's is zero.
    """

    offsets: np.ndarray

    def length(self, joint: str) -> float:
        """Length of the bone that ends in a joint, metres."""
        return float(np.linalg.norm(self.offsets[JOINT[joint]]))

    @property
    def arm(self) -> float:
        """Shoulder to wrist, metres."""
        return self.length("left_elbow") + self.length("left_wrist")

    @property
    def leg(self) -> float:
        """Hip to ankle, metres."""
        return self.length("left_knee") + self.length("left_ankle")

    @property
    def hip_height(self) -> float:
        """Height of the spine base above the floor when standing with soft knees, metres."""
        return float(ANKLE_HEIGHT + 0.99 * self.leg - self.offsets[JOINT["left_hip"], 1])


def make_body(
    stature: float = 1.0, arms: float = 1.0, legs: float = 1.0, trunk: float = 1.0, width: float = 1.0
) -> Body:
    """A body whose parts are scaled against the mean adult; ``stature`` scales everything but the foot's height."""
    offsets = np.zeros((LAYOUT.num_joints, 3))
    for name, (x, y, z) in _REST.items():
        part = 1.0
        if any(word in name for word in ("elbow", "wrist")):
            part = arms
        elif any(word in name for word in ("knee", "ankle")):
            part = legs
        elif "spine" in name:
            part = trunk
        elif any(word in name for word in ("shoulder", "hip")):
            part = width
        offset = np.array([x, y, z]) * part * stature
        offsets[JOINT[name]] = offset
        if name.startswith("left"):
            offsets[JOINT[name.replace("left", "right")]] = offset * (-1, 1, 1)
    return Body(offsets)


@dataclass(frozen=True)
class Pose:
    """Where the parts of a body are in each of T frames.

    A right-handed person's ``lead`` side is the right one; left-handers are mirrored afterwards. Points
    are (out, up, forward), out away from the body's midline; angles are radians.

    Attributes:
        pelvis: (T, 3) from where it is in standing, in leg lengths; first axis towards the left.
        turn: (T,) heading, to the left.
        lean, bend, twist: (T,) trunk forward, towards the lead side, to the left.
        nod, look: (T,) head forward, to the left.
        lead_hand, other_hand: (T, 3) wrist from its shoulder, in the chest's frame, in arm lengths.
        lead_elbow, other_elbow: (T, 3) direction in which the elbow points, in the chest's frame.
        lead_foot, other_foot: (T, 3) ankle from where it is in standing, in leg lengths.
        grip: (T,) from 0 to 1: how far the lead hand leaves ``lead_hand`` for ``grip_at``.
        grip_at: (T, 3) point for the lead hand in the person's frame, metres.
    """

    pelvis: np.ndarray
    turn: np.ndarray
    lean: np.ndarray
    bend: np.ndarray
    twist: np.ndarray
    nod: np.ndarray
    look: np.ndarray
    lead_hand: np.ndarray
    other_hand: np.ndarray
    lead_elbow: np.ndarray
    other_elbow: np.ndarray
    lead_foot: np.ndarray
    other_foot: np.ndarray
    grip: np.ndarray
    grip_at: np.ndarray

    def plus(self, **offsets: np.ndarray) -> Pose:
        """The pose with something added to some of its fields."""
        return replace(self, **{name: getattr(self, name) + offset for name, offset in offsets.items()})

    def reversed(self) -> Pose:
        """The same movement backwards."""
        return Pose(**{field.name: getattr(self, field.name)[::-1] for field in fields(self)})


REST_HAND = (0.16, -0.95, 0.1)


def standing(frames: int) -> Pose:
    """Upright, arms hanging, for T frames."""
    angle, point = np.zeros(frames), np.zeros((frames, 3))
    hand, elbow = point + REST_HAND, point + _ELBOW
    return Pose(
        pelvis=point, turn=angle, lean=angle, bend=angle, twist=angle, nod=angle, look=angle,
        lead_hand=hand, other_hand=hand, lead_elbow=elbow, other_elbow=elbow,
        lead_foot=point, other_foot=point, grip=angle, grip_at=point,
    )  # fmt: skip


def rotation(axis: int, angle: np.ndarray) -> np.ndarray:
    """(T, 3, 3) rotations by (T,) radians about x, y or z."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((len(angle), 3, 3))
    matrix[:, axis, axis] = 1
    matrix[:, a, a] = matrix[:, b, b] = np.cos(angle)
    matrix[:, b, a] = np.sin(angle)
    matrix[:, a, b] = -matrix[:, b, a]
    return matrix


def bend_limb(
    target: np.ndarray, upper: float, lower: float, pole: np.ndarray, sign: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations of the two bones of a limb that reaches for a point (law of cosines).

    Args:
        target: (T, 3) from the limb's first joint; out of reach is shortened.
        upper, lower: bone lengths.
        pole: (T, 3) where the middle joint points.
        sign: 1 for a joint that bends forward (elbow), -1 for one that bends backward (knee).

    Returns:
        (T, 3, 3) of the upper bone and of the lower one, in the frame of ``target``.
    """
    distance = np.linalg.norm(target, axis=1, keepdims=True)
    along = target / distance
    distance = np.clip(distance, abs(upper - lower) + 0.15 * (upper + lower), _REACH * (upper + lower))[:, 0]
    aside = pole - (pole * along).sum(1, keepdims=True) * along
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    shoulder = np.arccos((upper**2 + distance**2 - lower**2) / (2 * upper * distance))
    elbow = np.pi - np.arccos((upper**2 + lower**2 - distance**2) / (2 * upper * lower))
    down = np.cos(shoulder)[:, None] * along + np.sin(shoulder)[:, None] * aside
    hinge = sign * np.cross(along, aside)
    first = np.stack([hinge, -down, np.cross(hinge, -down)], -1)
    return first, first @ rotation(0, -sign * elbow)


def articulate(body: Body, pose: Pose) -> np.ndarray:
    """Forward kinematics: joints (T, V, 3) in metres in the person's frame."""
    frames = len(pose.turn)
    turned = np.tile(np.eye(3), (LAYOUT.num_joints, frames, 1, 1))
    heading = rotation(1, pose.turn)

    def trunk(share: float) -> np.ndarray:
        side = rotation(1, share * pose.twist) @ rotation(2, share * pose.bend)
        return heading @ side @ rotation(0, share * pose.lean)

    turned[JOINT["spine_base"]] = trunk(0.4)
    turned[JOINT["spine_mid"]] = trunk(0.75)
    chest = turned[JOINT["spine_shoulder"]] = trunk(1.0)
    turned[JOINT["neck"]] = chest @ rotation(1, pose.look) @ rotation(0, pose.nod)
    feet = {side: _foot(body, pose, side) for side in SIDES}
    base = _pelvis(body, pose, turned[JOINT["spine_base"]], feet)
    joints = _follow(body, base, turned)
    for side, sign in SIDES.items():
        _arm(body, pose, side, joints, chest, turned)
        hip, knee, ankle = (JOINT[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        knee_to = heading @ np.array([0.12 * sign, 0, 1])
        lengths = body.length("left_knee"), body.length("left_ankle")
        turned[hip], turned[knee] = bend_limb(feet[side] - joints[:, hip], *lengths, knee_to, -1)
        turned[ankle] = heading @ rotation(0, _toes(turned[knee], heading, feet[side][:, 1] - ANKLE_HEIGHT))
    return _follow(body, base, turned)


def _follow(body: Body, base: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Add up the bones from the root outwards: joints (T, V, 3) from rotations (V, T, 3, 3)."""
    joints = np.empty((len(base), LAYOUT.num_joints, 3))
    joints[:, LAYOUT.root] = base
    for child, parent in _OUTWARD:
        joints[:, child] = joints[:, parent] + turned[parent] @ body.offsets[child]
    return joints


def _foot(body: Body, pose: Pose, side: str) -> np.ndarray:
    """Where the ankle goes, (T, 3) in the person's frame."""
    moved = (pose.other_foot if side == "left" else pose.lead_foot) * (SIDES[side], 1, 1) * body.leg
    stance = body.offsets[JOINT[f"{side}_hip"]] * (1, 0, 1) + (0, ANKLE_HEIGHT, 0)
    return stance + moved


def _pelvis(body: Body, pose: Pose, turned: np.ndarray, feet: dict[str, np.ndarray]) -> np.ndarray:
    """Where the spine base goes, (T, 3): as requested, but low enough for both legs to reach their feet."""
    base = (0, body.hip_height, 0) + pose.pelvis * body.leg
    for side, foot in feet.items():
        hip = turned @ body.offsets[JOINT[f"{side}_hip"]]
        flat = np.linalg.norm((base + hip - foot)[:, [0, 2]], axis=1)
        highest = foot[:, 1] + np.sqrt(np.maximum((_REACH * body.leg) ** 2 - flat**2, 0)) - hip[:, 1]
        base[:, 1] = np.minimum(base[:, 1], highest)
    return base


def _arm(body: Body, pose: Pose, side: str, joints: np.ndarray, chest: np.ndarray, turned: np.ndarray) -> None:
    """Fill in the rotations of one arm; the hand goes on in line with the forearm."""
    lead = side == "right"
    hand, elbow = (pose.lead_hand, pose.lead_elbow) if lead else (pose.other_hand, pose.other_elbow)
    start = JOINT[f"{side}_shoulder"]
    mirror = (SIDES[side], 1, 1)

    def in_chest(points: np.ndarray) -> np.ndarray:
        return (chest @ (points * mirror)[..., None])[..., 0]

    target = in_chest(hand) * body.arm
    if lead:
        target = target + pose.grip[:, None] * (pose.grip_at - joints[:, start] - target)
    upper, lower = bend_limb(target, body.length("left_elbow"), body.length("left_wrist"), in_chest(elbow), 1)
    turned[start] = upper
    for name in ("elbow", "wrist", "hand", "thumb"):
        turned[JOINT[f"{side}_{name}"]] = lower


def _toes(shin: np.ndarray, heading: np.ndarray, lift: np.ndarray) -> np.ndarray:
    """(T,) pitch of the foot: flat on the floor, in line with the shin and toes down in the air."""
    down = -(np.swapaxes(heading, 1, 2) @ shin[:, :, 1:2])[..., 0]
    pitch = np.arctan2(-down[:, 2], -down[:, 1]) + 0.3
    return np.clip(lift / 0.15, 0, 1) * pitch
