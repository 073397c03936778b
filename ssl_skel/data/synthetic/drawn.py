"""Movements drawn at random: as many different ones as are wanted, with no names and no meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ssl_skel.data.synthetic.actions import Action, Keys, Move, Style, beat, keys, rise
from ssl_skel.data.synthetic.skeleton import REST_HAND, Pose, standing

Curve = Callable[[np.ndarray], np.ndarray]
"""From a phase (T,) to how far something is from where it rests, (T, D)."""

_TRUNK = {
    "lean": (0.3, -0.3, 1.0),
    "bend": (0.15, -0.5, 0.5),
    "twist": (0.3, -0.8, 0.8),
    "nod": (0.2, -0.5, 0.5),
    "look": (0.15, -0.8, 0.8),
    "turn": (0.1, -2.5, 2.5),
}
"""Fields of ``Pose``: the chance that one moves, and the range of its angles in radians."""


def draw_action(rng: np.random.Generator) -> Action:
    """A movement of one person.

    Hands go to some places in reach and may rest there; each may also swing or circle. Trunk, head, pelvis and feet
    take part by chance. A fifth of the movements end where they have led to, the others where they began.
    """
    stays = rng.random() < 0.2
    upper = [_hands(rng, stays), _trunk(rng, stays)]
    lower = [
        draw(rng, stays) for chance, draw in ((0.25, _crouch), (0.2, _step), (0.3, _legs)) if rng.random() < chance
    ]
    return Action((_moving(upper + lower),), float(rng.uniform(0.8, 2.5)), seated=0.0 if lower else 0.1)


def _moving(parts: list[dict[str, Curve]]) -> Move:
    """The movement in which all these curves together take fields of ``Pose`` from rest, as far as the style says."""

    def move(phase: np.ndarray, style: Style) -> Pose:
        rest = standing(len(phase))
        moved: dict[str, np.ndarray] = {}
        for part in parts:
            for name, curve in part.items():
                moved[name] = curve(phase) + moved.get(name, 0)
        return rest.plus(**{name: (style.size * way).reshape(getattr(rest, name).shape) for name, way in moved.items()})

    return move


def _hands(rng: np.random.Generator, stays: bool) -> dict[str, Curve]:
    """Both hands: the other one rests, follows the lead hand as in a mirror, swings against it, or has its own way."""

    def reach() -> np.ndarray:
        while True:
            found = rng.uniform((-0.6, -0.95, -0.35), 1)
            if 0.35 < np.linalg.norm(found) < 1:
                return found - REST_HAND

    lead, other = (_through(rng, [reach() for _ in range(rng.integers(1, 4))], stays) for _ in range(2))
    swing = _swing(rng) if rng.random() < 0.4 else _still
    if rng.random() < 0.15:
        lead = _still
    kinds: dict[str, Curve] = {
        "rests": _still,
        "follows": lambda phase: lead(phase) + swing(phase),
        "against": lambda phase: lead(phase) - swing(phase),
        "own": other,
    }
    return {"lead_hand": kinds["follows"], "other_hand": kinds[rng.choice(list(kinds), p=[0.45, 0.25, 0.08, 0.22])]}


def _trunk(rng: np.random.Generator, stays: bool) -> dict[str, Curve]:
    return {
        name: _through(rng, _places(rng, 2, (low,), (high,)), stays)
        for name, (chance, low, high) in _TRUNK.items()
        if rng.random() < chance
    }


def _crouch(rng: np.random.Generator, stays: bool) -> dict[str, Curve]:
    return {"pelvis": _through(rng, _places(rng, 2, (0, -0.5, -0.3), (0, -0.1, 0)), stays)}


def _step(rng: np.random.Generator, _stays: bool) -> dict[str, Curve]:
    """The whole body is carried aside, its feet sliding, and stays there."""
    way = _through(rng, _places(rng, 1, (-0.4, 0, -0.4), (0.4, 0, 0.5)), True)
    return {
        "pelvis": way,
        "other_foot": way,
        "lead_foot": lambda phase: way(phase) * (-1, 1, 1),  # its out is the others' in
    }


def _legs(rng: np.random.Generator, _stays: bool) -> dict[str, Curve]:
    """One foot or both leave the floor and come back, or they take turns."""
    kind = rng.choice(["one", "both", "turns"], p=[0.5, 0.25, 0.25])
    lift = _through(rng, _places(rng, 2, (0, 0.05, -0.5), (0.5, 0.6, 0.8)), False)
    up, cycles = np.array([0, rng.uniform(0.1, 0.35), rng.uniform(-0.1, 0.2)]), rng.uniform(2, 5)

    def turns(phase: np.ndarray, side: float) -> np.ndarray:
        return np.clip(side * beat(phase, cycles) * rise(phase, 0.1, 0.9), 0, None)[:, None] * up

    if kind == "turns":
        return {"lead_foot": lambda phase: turns(phase, 1), "other_foot": lambda phase: turns(phase, -1)}
    return {"lead_foot": lift, "other_foot": lift if kind == "both" else _still}


def _places(rng: np.random.Generator, most: int, low: tuple[float, ...], high: tuple[float, ...]) -> np.ndarray:
    """One to ``most`` points in a box, (count, D)."""
    return rng.uniform(low, high, (rng.integers(1, most + 1), len(low)))


def _through(rng: np.random.Generator, places: Sequence[np.ndarray] | np.ndarray, stays: bool) -> Curve:
    """From rest through some places and, unless it stays, back; half of these curves rest at each place."""
    gaps = rng.uniform(0.5, 1.5, 2 * len(places) + 1)
    times = np.cumsum(gaps)[:-1] / gaps.sum()
    knots: list[Keys] = [(0, tuple(np.zeros_like(places[0])))]
    rests = rng.random() < 0.5
    for arrive, leave, where in zip(times[::2], times[1::2], places, strict=True):
        knots += [(float(at), tuple(where)) for at in ((arrive, leave) if rests else (arrive,))]
    knots.append((1, knots[-1][1] if stays else knots[0][1]))
    return lambda phase: keys(phase, *knots)


def _swing(rng: np.random.Generator) -> Curve:
    """To and fro in some direction, or around: it swells, and dies down again."""
    along, across = np.linalg.qr(rng.normal(size=(3, 2)))[0].T
    size, cycles = rng.uniform(0.08, 0.35), rng.uniform(1.5, 6)
    round_ = rng.uniform(0.5, 1) if rng.random() < 0.4 else 0.0
    start, end = rng.uniform(0.1, 0.3), rng.uniform(0.7, 0.9)

    def curve(phase: np.ndarray) -> np.ndarray:
        angle = (2 * np.pi * cycles * phase)[:, None]
        swell = rise(phase, start, end)[:, None]
        return size * swell * (np.sin(angle) * along + round_ * np.cos(angle) * across)

    return curve


def _still(phase: np.ndarray) -> np.ndarray:
    return np.zeros((len(phase), 3))
