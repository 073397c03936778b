"""Movements drawn at random: as many different ones as are wanted, with no names and no meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ssl_skel.data.synthetic.actions import Action, Keys, Move, Style, keys
from ssl_skel.data.synthetic.skeleton import REST_HAND, Pose, standing

Path = Callable[[np.ndarray], np.ndarray]
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
    paths = _hands(rng, stays)
    for name, (chance, low, high) in _TRUNK.items():
        if rng.random() < chance:
            paths[name] = _through(rng, _places(rng, 2, (low,), (high,)), stays)
    stands = True
    for chance, move in ((0.25, _crouch), (0.2, _step), (0.3, _legs)):
        if rng.random() < chance:
            move(rng, paths, stays)
            stands = False
    return Action((_moving(paths),), float(rng.uniform(0.8, 2.5)), seated=0.1 if stands else 0.0)


def _moving(paths: dict[str, Path]) -> Move:
    """The movement in which these fields of ``Pose`` leave rest, as far as the style says."""

    def move(phase: np.ndarray, style: Style) -> Pose:
        rest = standing(len(phase))
        moved = {name: style.size * path(phase) for name, path in paths.items()}
        return rest.plus(**{name: way.reshape(getattr(rest, name).shape) for name, way in moved.items()})

    return move


def _hands(rng: np.random.Generator, stays: bool) -> dict[str, Path]:
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
    hands = {"lead_hand": _sum(lead, swing)}
    kind = rng.choice(["rests", "follows", "against", "own"], p=[0.45, 0.25, 0.08, 0.22])
    if kind != "rests":
        hands["other_hand"] = {
            "follows": hands["lead_hand"],
            "against": _sum(lead, lambda phase: -swing(phase)),
            "own": other,
        }[kind]
    return hands


def _crouch(rng: np.random.Generator, paths: dict[str, Path], stays: bool) -> None:
    paths["pelvis"] = _through(rng, _places(rng, 2, (0, -0.5, -0.3), (0, -0.1, 0)), stays)


def _step(rng: np.random.Generator, paths: dict[str, Path], stays: bool) -> None:
    """The whole body is carried aside, its feet sliding."""
    way = _through(rng, _places(rng, 1, (-0.4, 0, -0.4), (0.4, 0, 0.5)), True)
    for name in ("pelvis", "other_foot"):
        paths[name] = _sum(paths.get(name, _still), way)
    paths["lead_foot"] = lambda phase: way(phase) * (-1, 1, 1)  # its out is the others' in


def _legs(rng: np.random.Generator, paths: dict[str, Path], stays: bool) -> None:
    """One foot or both leave the floor, or they take turns."""
    kind = rng.choice(["one", "both", "turns"], p=[0.5, 0.25, 0.25])
    lift = _through(rng, _places(rng, 2, (0, 0.05, -0.5), (0.5, 0.6, 0.8)), False)
    up, cycles = np.array([0, rng.uniform(0.1, 0.35), rng.uniform(-0.1, 0.2)]), rng.uniform(2, 5)

    def turns(phase: np.ndarray, side: float) -> np.ndarray:
        going = keys(phase, (0, 0), (0.1, 1), (0.9, 1), (1, 0))
        return np.clip(side * np.sin(2 * np.pi * cycles * phase) * going, 0, None)[:, None] * up

    ways = {
        "one": (lift, _still),
        "both": (lift, lift),
        "turns": (lambda phase: turns(phase, 1), lambda phase: turns(phase, -1)),
    }[kind]
    for name, way in zip(("lead_foot", "other_foot"), ways, strict=True):
        paths[name] = _sum(paths.get(name, _still), way)


def _places(rng: np.random.Generator, most: int, low: tuple[float, ...], high: tuple[float, ...]) -> np.ndarray:
    """One to ``most`` points in a box, (count, D)."""
    return rng.uniform(low, high, (rng.integers(1, most + 1), len(low)))


def _through(rng: np.random.Generator, places: Sequence[np.ndarray] | np.ndarray, stays: bool) -> Path:
    """From rest through some places and, unless it stays, back; half of these paths rest at each place."""
    gaps = rng.uniform(0.5, 1.5, 2 * len(places) + 1)
    times = np.cumsum(gaps)[:-1] / gaps.sum()
    knots: list[Keys] = [(0, tuple(np.zeros_like(places[0])))]
    rests = rng.random() < 0.5
    for arrive, leave, where in zip(times[::2], times[1::2], places, strict=True):
        knots += [(float(at), tuple(where)) for at in ((arrive, leave) if rests else (arrive,))]
    knots.append((1, knots[-1][1] if stays else knots[0][1]))
    return lambda phase: keys(phase, *knots)


def _swing(rng: np.random.Generator) -> Path:
    """To and fro in some direction, or around: it swells, and dies down again."""
    along, across = np.linalg.qr(rng.normal(size=(3, 2)))[0].T
    size, cycles = rng.uniform(0.08, 0.35), rng.uniform(1.5, 6)
    round_ = rng.uniform(0.5, 1) if rng.random() < 0.4 else 0.0
    start, end = rng.uniform(0.1, 0.3), rng.uniform(0.7, 0.9)

    def path(phase: np.ndarray) -> np.ndarray:
        angle = (2 * np.pi * cycles * phase)[:, None]
        swell = keys(phase, (0, 0), (start, 1), (end, 1), (1, 0))[:, None]
        return size * swell * (np.sin(angle) * along + round_ * np.cos(angle) * across)

    return path


def _sum(*paths: Path) -> Path:
    return lambda phase: np.sum([path(phase) for path in paths], axis=0)


def _still(phase: np.ndarray) -> np.ndarray:
    return np.zeros((len(phase), 3))
