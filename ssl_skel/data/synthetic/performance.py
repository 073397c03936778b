"""Persons with habits, and what one or two of them do in front of the cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssl_skel.data.synthetic.actions import SEAT, Action, Style
from ssl_skel.data.synthetic.skeleton import LAYOUT, REST_HAND, Body, Pose, articulate, make_body

FRAMES_PER_SECOND = 30
_HANDS = ("lead", "other")
_FACE_TO_FACE = np.array([-1.0, 1.0, -1.0])
_HIP, _BELLY, _BACK, _LAP = (0.22, -0.58, -0.02), (-0.22, -0.62, 0.38), (-0.08, -0.8, -0.25), (-0.02, -0.72, 0.48)
_IDLE = (REST_HAND, REST_HAND, _HIP, _BELLY, _BACK)


@dataclass(frozen=True)
class Person:
    """What stays the same about somebody in all clips.

    Attributes:
        body: bone vectors.
        left_handed: does everything the other way round.
        tempo, size: speed and extent of movements; 1 is usual.
        slouch: trunk and head forward, radians.
        hands: (3,) how else the hands are held, arm lengths.
        elbows: (3,) how else the elbows point.
        stance: feet apart, leg lengths a side.
    """

    body: Body
    left_handed: bool
    tempo: float
    size: float
    slouch: float
    hands: np.ndarray
    elbows: np.ndarray
    stance: float


def draw_person(rng: np.random.Generator) -> Person:
    """Somebody at random."""
    stature, arms, legs, trunk, width = np.clip(rng.normal(1, (0.07, 0.05, 0.05, 0.05, 0.07)), 0.85, 1.15)
    return Person(
        body=make_body(stature, arms, legs, trunk, width),
        left_handed=bool(rng.random() < 0.3),
        tempo=float(rng.uniform(0.8, 1.3)),
        size=float(rng.uniform(0.65, 1.25)),
        slouch=float(rng.normal(0.04, 0.05)),
        hands=rng.normal(0, 0.04, 3),
        elbows=rng.normal(0, 0.15, 3),
        stance=float(rng.uniform(0, 0.06)),
    )


def drift(rng: np.random.Generator, frames: int, *shape: int, width: float) -> np.ndarray:
    """Smooth noise of unit variance, (T, *shape); ``width`` in frames is how slowly it changes."""
    from scipy.ndimage import gaussian_filter1d  # slow to import

    margin = int(4 * width)
    noise = gaussian_filter1d(rng.normal(size=(frames + 2 * margin, *shape)), width, axis=0)
    smooth: np.ndarray = noise[margin : margin + frames] * np.sqrt(2 * width * np.sqrt(np.pi))  # undo the filter's loss
    return smooth


def draw_phase(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """(T,) phase of an action: waits at 0, rises unevenly with a hesitation, waits at 1."""
    length = FRAMES_PER_SECOND * seconds
    from scipy.ndimage import gaussian_filter1d  # slow to import

    before, after = rng.integers(3, 50, 2)
    pause = rng.choice([0, 0, 0, rng.uniform(3, 10)])
    at = rng.uniform(0.3, 0.7)
    pace = rng.uniform(-0.12, 0.12)  # share of the time won or lost until then
    times = np.cumsum([0, before, (at + pace) * length, pause, (1 - at - pace) * length, after])
    phase = np.interp(np.arange(int(times[-1])), times, [0, 0, at, at, 1, 1])
    smooth: np.ndarray = gaussian_filter1d(phase, 2.0, mode="nearest")
    return smooth


def perform(action: Action, persons: list[Person], heading: float, rng: np.random.Generator) -> np.ndarray:
    """Act once.

    Args:
        action: what is done.
        persons: one for each of its moves; the first one's tempo and handedness rule.
        heading: radians by which the scene is turned; at 0 a single person looks along z, two stand on the x axis.
        rng: everything that differs from one time to the next.

    Returns:
        Joints (M, T, V, 3) in metres, y up, origin on the floor in the middle.
    """
    first = persons[0]
    phase = draw_phase(rng, action.seconds / (first.tempo * rng.uniform(0.92, 1.08)))
    cycles = rng.uniform(0.8, 1.2)
    gap = action.gap * float(np.mean([person.body.arm for person in persons])) * rng.uniform(0.96, 1.06)
    depth = rng.uniform(0.55, 1.0)
    thing = np.array([rng.uniform(-0.2, 0.05), 0.75 - 0.6 * depth, rng.uniform(0.32, 0.45)])
    between = np.array([0.02, 1.22 * np.mean([person.body.hip_height for person in persons]), gap / 2 - 0.1])
    seated = rng.random() < action.seated
    scene = []
    for move, person in zip(action.moves, persons, strict=True):
        style = Style(person.size * rng.uniform(0.92, 1.08), cycles, depth, between if gap else thing)
        pose = rest_hands(move(phase, style), seated, rng)
        if seated:
            pose = sitting(pose, depth)
        joints = articulate(person.body, with_habits(pose, person, rng))
        scene.append(joints - (0, 0, gap / 2))
    if gap:
        scene[1] = scene[1] * _FACE_TO_FACE
        heading += np.pi / 2
    joints = np.stack(scene)
    if first.left_handed:
        joints = mirrored(joints)
    return joints @ _about_y(heading)


def mirrored(joints: np.ndarray) -> np.ndarray:
    """Joints (..., V, 3) as in a mirror, left and right named anew."""
    return LAYOUT.mirrored(joints)


def rest_hands(pose: Pose, seated: bool, rng: np.random.Generator) -> Pose:
    """Put a hand that the action leaves hanging where people put idle hands."""
    at = {}
    for name in ("lead_hand", "other_hand"):
        hand = getattr(pose, name)
        if not np.ptp(hand, 0).any():
            place = _LAP if seated else _IDLE[rng.integers(len(_IDLE))]
            at[name] = np.subtract(place, REST_HAND) + np.zeros_like(hand)
    return pose.plus(**at)


def sitting(pose: Pose, depth: float) -> Pose:
    """The same movement of the upper body, on a chair."""
    frames = len(pose.turn)
    return pose.plus(pelvis=np.tile(np.multiply(SEAT, depth), (frames, 1)), lean=np.full(frames, -0.05))


def with_habits(pose: Pose, person: Person, rng: np.random.Generator) -> Pose:
    """A pose sequence as one person does it: own posture, and swaying a little all the time."""
    frames = len(pose.turn)
    sway = drift(rng, frames, 4, width=12)
    turn, lean, twist, look = (sway * (0.12, 0.05, 0.08, 0.15) + rng.normal(0, (0.1, 0.05, 0.12, 0.3))).T
    shift = 0.04 * drift(rng, frames, 3, width=12) * (1, 0, 1)
    hands = {
        f"{side}_hand": person.hands + rng.normal(0, 0.08, 3) + 0.04 * drift(rng, frames, 3, width=8) for side in _HANDS
    }
    elbows = {f"{side}_elbow": np.tile(person.elbows + rng.normal(0, 0.15, 3), (frames, 1)) for side in _HANDS}
    steps = {f"{side}_foot": np.tile((person.stance, 0, rng.normal(0, 0.06)), (frames, 1)) for side in _HANDS}
    return pose.plus(
        pelvis=shift,
        turn=turn,
        lean=person.slouch + lean,
        twist=twist,
        nod=person.slouch + lean,
        look=look,
        **hands,
        **elbows,
        **steps,
    )


def _about_y(angle: float) -> np.ndarray:
    """(3, 3) matrix that turns row vectors about y, from z towards x."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
