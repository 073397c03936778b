"""Everyday actions as functions of a phase that runs from 0 (not begun) to 1 (done).

Each is written for a right-handed person of any size (see ``Pose`` for axes and units). Some share
all their postures and differ in dynamics or direction only: sitting down and standing up are one
movement and its reverse; waving and throwing both raise the lead hand beside the head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ssl_skel.data.synthetic.skeleton import REST_HAND, Pose, standing


@dataclass(frozen=True)
class Style:
    """How somebody does an action this time.

    Attributes:
        size: how large the movements are; 1 is usual.
        cycles: repetitions in a repeated movement, relative to the usual number.
        depth: how far down the chair or the thing is; 1 is a low chair or the floor.
        meet: (3,) where the lead hand meets a thing or another hand, in the person's frame, metres.
    """

    size: float
    cycles: float
    depth: float
    meet: np.ndarray


SEAT = (0.0, -0.48, -0.5)  # the pelvis on a chair, in leg lengths from where it is in standing

Keys = tuple[float, float | tuple[float, ...]]
Move = Callable[[np.ndarray, Style], Pose]


def keys(phase: np.ndarray, *knots: Keys) -> np.ndarray:
    """A smooth curve through (phase, value) knots without overshoot; (T,) or (T, 3)."""
    from scipy.interpolate import PchipInterpolator  # slow to import

    times, values = zip(*knots, strict=True)
    return PchipInterpolator(times, np.asarray(values, float))(phase)


def rise(phase: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 at both ends of the phase, 1 from ``start`` to ``end``."""
    return keys(phase, (0, 0), (start, 1), (end, 1), (1, 0))


def beat(phase: np.ndarray, cycles: float) -> np.ndarray:
    """A sine of this many cycles, (T,)."""
    return np.sin(2 * np.pi * cycles * phase)


def _vectors(out: np.ndarray | float, up: np.ndarray | float, forward: np.ndarray | float) -> np.ndarray:
    return np.stack(np.broadcast_arrays(out, up, forward), -1)


def wave(phase: np.ndarray, style: Style) -> Pose:
    """Raise the lead hand beside the head and swing it from side to side."""
    up = rise(phase, 0.2, 0.82)
    swing = 0.26 * style.size * up * beat(phase, 4 * style.cycles)
    raised = keys(phase, (0, REST_HAND), (0.2, (0.4, 0.5, 0.3)), (0.82, (0.4, 0.5, 0.3)), (1, REST_HAND))
    return standing(len(phase)).plus(
        lead_hand=raised - REST_HAND + _vectors(swing, -0.5 * np.abs(swing), 0),
        bend=-0.05 * up,
    )


def clap(phase: np.ndarray, style: Style) -> Pose:
    """Clap both hands in front of the chest several times."""
    up = rise(phase, 0.18, 0.85)
    apart = 0.2 * style.size * (1 - np.cos(2 * np.pi * 5 * style.cycles * phase))
    front = _vectors(apart - 0.1, -0.3, 0.58)
    hand = REST_HAND + up[:, None] * (front - REST_HAND)
    return replace(standing(len(phase)), lead_hand=hand, other_hand=hand, nod=0.1 * up)


def drink(phase: np.ndarray, style: Style) -> Pose:
    """Bring a cup to the mouth, tilt the head back, put it down again."""
    low, mouth = (0.0, -0.5, 0.55), (-0.14, 0.08, 0.42)
    hand = keys(phase, (0, REST_HAND), (0.18, low), (0.4, mouth), (0.72, mouth), (0.87, low), (1, REST_HAND))
    tilt = keys(phase, (0, 0), (0.36, 0), (0.5, -0.4), (0.66, -0.45), (0.78, 0), (1, 0))
    return replace(standing(len(phase)), lead_hand=hand, nod=tilt * style.size, lean=0.15 * tilt)


def throw(phase: np.ndarray, style: Style) -> Pose:
    """Wind up beside the head, step forward and throw overarm."""
    ready, release, follow = (0.5, 0.42, -0.15), (0.0, 0.45, 0.85), (-0.45, -0.55, 0.6)
    hand = keys(phase, (0, REST_HAND), (0.35, ready), (0.46, ready), (0.58, release), (0.7, follow), (1, REST_HAND))
    aim = keys(
        phase, (0, REST_HAND), (0.35, (0.1, -0.1, 0.85)), (0.46, (0.1, -0.1, 0.85)), (0.65, REST_HAND), (1, REST_HAND)
    )
    step = keys(phase, (0, 0), (0.3, 0), (0.52, 1), (0.75, 1), (1, 0))
    lift = keys(phase, (0, 0), (0.3, 0), (0.41, 1), (0.52, 0), (0.75, 0), (0.87, 0.6), (1, 0))
    return replace(
        standing(len(phase)),
        lead_hand=hand,
        other_hand=aim,
        lead_elbow=_vectors(keys(phase, (0, 0.4), (0.35, 1), (0.46, 1), (0.7, 0.4), (1, 0.4)), -1, -0.6),
        twist=style.size * keys(phase, (0, 0), (0.38, -0.6), (0.46, -0.6), (0.62, 0.55), (0.72, 0.55), (1, 0)),
        lean=style.size * keys(phase, (0, 0), (0.4, -0.12), (0.62, 0.35), (1, 0)),
        pelvis=_vectors(0, -0.03 * step, 0.2 * step),
        other_foot=_vectors(0, 0.1 * lift, 0.42 * step),
    )


def kick(phase: np.ndarray, style: Style) -> Pose:
    """Swing the lead leg back and kick forward, arms out for balance."""
    high = 0.42 * style.size
    back, hit = (0, 0.22, -0.42), (0, high, 0.84)
    foot = keys(phase, (0, (0, 0, 0)), (0.3, back), (0.36, back), (0.52, hit), (0.7, (0, 0.15, 0.1)), (1, (0, 0, 0)))
    balance = rise(phase, 0.3, 0.6)
    return replace(
        standing(len(phase)),
        lead_foot=foot,
        pelvis=_vectors(0.06, -0.03, 0.04) * balance[:, None],
        lean=keys(phase, (0, 0), (0.3, 0.2), (0.52, -0.2), (0.75, 0.05), (1, 0)),
        twist=0.2 * keys(phase, (0, 0), (0.33, -1), (0.52, 1), (1, 0)),
        other_hand=keys(phase, (0, REST_HAND), (0.33, (0.5, -0.55, 0.5)), (0.55, (0.6, -0.6, -0.1)), (1, REST_HAND)),
        lead_hand=keys(phase, (0, REST_HAND), (0.33, (0.4, -0.8, 0.1)), (0.55, (0.55, -0.65, -0.2)), (1, REST_HAND)),
    )


def jump(phase: np.ndarray, style: Style) -> Pose:
    """Crouch, swing the arms and jump straight up."""
    flight = np.clip((phase - 0.42) / 0.24, 0, 1)
    height = 0.38 * style.size * 4 * flight * (1 - flight)
    crouch = keys(phase, (0, 0), (0.3, 1), (0.42, 0), (0.66, 0.1), (0.76, 0.8), (1, 0))
    back, above = (0.2, -0.85, -0.35), (0.2, 0.75, 0.5)
    front, landing = (0.2, -0.1, 0.85), (0.3, -0.6, 0.5)
    knots = (
        (0, REST_HAND),
        (0.3, back),
        (0.38, REST_HAND),
        (0.43, front),
        (0.49, above),
        (0.6, above),
        (0.76, landing),
    )
    hand = keys(phase, *knots, (1, REST_HAND))
    elbow = standing(len(phase)).lead_elbow + np.array([0, 0.5, -0.4])
    foot = _vectors(0, height, 0)
    return replace(
        standing(len(phase)),
        pelvis=_vectors(0, height - 0.32 * crouch, -0.12 * crouch),
        lean=0.5 * crouch,
        lead_foot=foot,
        other_foot=foot,
        lead_hand=hand,
        other_hand=hand,
        lead_elbow=elbow,
        other_elbow=elbow,
    )


def march(phase: np.ndarray, style: Style) -> Pose:
    """Walk on the spot, arms swinging against the legs."""
    going = rise(phase, 0.12, 0.88)
    pace = beat(phase, 3.5 * style.cycles)
    lead, other = (np.clip(side * pace, 0, None) ** 1.3 * going for side in (1, -1))
    swing = 0.32 * style.size * pace * going
    rest = standing(len(phase))
    return rest.plus(
        lead_foot=_vectors(0, 0.3 * style.size, -0.02) * lead[:, None],
        other_foot=_vectors(0, 0.3 * style.size, -0.02) * other[:, None],
        pelvis=_vectors(0.03 * pace * going, -0.015 * going, 0),
        lead_hand=_vectors(0, 0.14 * going, 0.05 - swing) * going[:, None],
        other_hand=_vectors(0, 0.14 * going, 0.05 + swing) * going[:, None],
        twist=-0.12 * pace * going,
    )


def sit_down(phase: np.ndarray, style: Style) -> Pose:
    """Lower oneself onto a chair and stay there."""
    lap = (-0.02, -0.72, 0.48)
    hand = keys(phase, (0, REST_HAND), (0.35, (0.2, -0.85, 0.3)), (0.75, lap), (1, lap))
    down = style.depth * keys(phase, (0, 0), (0.1, 0), (0.72, 1), (1, 1))
    return replace(
        standing(len(phase)),
        pelvis=_vectors(0, SEAT[1] * down, SEAT[2] * np.sin(np.pi / 2 * down)),
        lean=style.size * keys(phase, (0, 0), (0.42, 0.75), (0.68, 0.55), (1, -0.05)),
        nod=-0.25 * keys(phase, (0, 0), (0.45, 1), (1, 0)),
        lead_hand=hand,
        other_hand=hand,
    )


def stand_up(phase: np.ndarray, style: Style) -> Pose:
    """Rise from a chair: sitting down, backwards."""
    return sit_down(1 - phase, style)


def pick_up(phase: np.ndarray, style: Style) -> Pose:
    """Bend to the floor, take a thing and rise with it in the hand."""
    down = style.depth * keys(phase, (0, 0), (0.45, 1), (0.55, 1), (1, 0))
    holding = (-0.08, -0.55, 0.5)
    touch = keys(phase, (0, 0), (0.15, 0), (0.45, 1), (0.55, 1), (0.85, 0), (1, 0))
    return replace(
        standing(len(phase)),
        pelvis=_vectors(0, -0.4, -0.2) * down[:, None],
        lean=1.0 * down,
        nod=-0.2 * down,
        lead_hand=keys(phase, (0, REST_HAND), (0.5, (0.0, -0.85, 0.4)), (0.9, holding), (1, holding)),
        other_hand=keys(phase, (0, REST_HAND), (0.5, (0.12, -0.65, 0.55)), (1, REST_HAND)),
        grip=touch,
        grip_at=np.tile(style.meet, (len(phase), 1)),
    )


def put_down(phase: np.ndarray, style: Style) -> Pose:
    """Put a thing on the floor: picking up, backwards."""
    return pick_up(1 - phase, style)


def push(phase: np.ndarray, style: Style) -> Pose:
    """Step towards somebody and push with both hands."""
    near, far = (0.0, -0.25, 0.4), (-0.12, 0.0, 0.97)
    hand = keys(phase, (0, REST_HAND), (0.28, near), (0.36, near), (0.5, far), (0.6, far), (1, REST_HAND))
    step = keys(phase, (0, 0), (0.2, 0), (0.48, 1), (0.72, 1), (1, 0))
    lift = keys(phase, (0, 0), (0.2, 0), (0.34, 1), (0.48, 0), (0.72, 0), (0.86, 0.7), (1, 0))
    return replace(
        standing(len(phase)),
        lead_hand=hand,
        other_hand=hand,
        pelvis=_vectors(0, -0.02, 0.2) * step[:, None],
        lead_foot=_vectors(0, 0.08 * lift, 0.4 * step),
        lean=0.28 * style.size * keys(phase, (0, 0), (0.34, -0.2), (0.5, 1), (0.62, 1), (1, 0)),
    )


def be_pushed(phase: np.ndarray, style: Style) -> Pose:
    """Stagger back when the push lands, arms flying up."""
    away = keys(phase, (0, 0), (0.45, 0), (0.7, 1), (1, 0.9))
    shock = keys(phase, (0, 0), (0.45, 0), (0.58, 1), (0.85, 0.1), (1, 0))
    first = keys(phase, (0, 0), (0.47, 0), (0.6, 1), (1, 1))
    second = keys(phase, (0, 0), (0.6, 0), (0.78, 1), (1, 1))
    hop = [4 * part * (1 - part) for part in (first, second)]
    hand = REST_HAND + shock[:, None] * (_vectors(0.45, -0.25, 0.55) - REST_HAND)
    return replace(
        standing(len(phase)),
        lead_hand=hand,
        other_hand=hand,
        pelvis=_vectors(0, -0.05 * shock, -0.32 * away),
        lean=-0.3 * style.size * shock,
        nod=0.25 * shock,
        lead_foot=_vectors(0, 0.1 * hop[0], -0.36 * first),
        other_foot=_vectors(0, 0.1 * hop[1], -0.28 * second),
    )


def shake_hands(phase: np.ndarray, style: Style) -> Pose:
    """Hold out the lead hand, shake, let go."""
    out = rise(phase, 0.27, 0.78)
    held = rise(phase, 0.3, 0.75)
    shake = 0.05 * style.size * beat(phase, 5 * style.cycles) * held**4
    front = (-0.15, -0.4, 0.7)
    return replace(
        standing(len(phase)),
        lead_hand=keys(phase, (0, REST_HAND), (0.27, front), (0.78, front), (1, REST_HAND)),
        grip=out,
        grip_at=style.meet + _vectors(0, shake, 0),
        lean=0.12 * out,
        nod=0.08 * held + 0.1 * shake,
        twist=0.15 * out,
    )


@dataclass(frozen=True)
class Action:
    """One class of movement.

    Attributes:
        moves: what each person does; one or two.
        seconds: usual duration.
        gap: distance between two persons, in mean arm lengths.
        seated: chance that it is done sitting on a chair.
    """

    moves: tuple[Move, ...]
    seconds: float
    gap: float = 0.0
    seated: float = 0.0


ACTIONS: dict[str, Action] = {
    "wave": Action((wave,), 1.4, seated=0.4),
    "clap": Action((clap,), 1.2, seated=0.4),
    "drink": Action((drink,), 1.4, seated=0.4),
    "throw": Action((throw,), 1.1),
    "kick": Action((kick,), 1.1),
    "jump": Action((jump,), 1.1),
    "march": Action((march,), 1.7),
    "sit_down": Action((sit_down,), 1.1),
    "stand_up": Action((stand_up,), 1.1),
    "pick_up": Action((pick_up,), 1.4),
    "put_down": Action((put_down,), 1.4),
    "push": Action((push, be_pushed), 1.2, gap=1.95),
    "shake_hands": Action((shake_hands, shake_hands), 1.5, gap=1.75),
}
