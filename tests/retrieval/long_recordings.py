"""A long recording of somebody who does one thing after another, and now and then the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ssl_skel.data.clip import RawClip
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.synthetic import ACTIONS
from ssl_skel.data.synthetic.performance import FRAMES_PER_SECOND, Person, draw_person, perform
from ssl_skel.data.synthetic.sensor import Camera, add_noise
from ssl_skel.data.synthetic.skeleton import LAYOUT
from ssl_skel.data.writer import StoreWriter

_TRANSITION = 12  # frames from one movement to the next


def act(name: str, person: Person, rng: np.random.Generator) -> np.ndarray:
    """One movement (1, T, V, 3) as a camera in front sees it."""
    room = perform(replace(ACTIONS[name], seated=0.0), [person], rng.normal(0, 0.3), rng)
    return add_noise(Camera(0.0, 0.05, 1.2, 3.0).see(room), 0.01, rng)


def long_recording(planted: str, times: int, minutes: float, seed: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Joints (1, T, V, 3) of one person, and first frame and end of each time that ``planted`` happens.

    Between movements joints move on straight lines; before and after each the person stands for up to two seconds,
    as the built-in motions have it.
    """
    rng = np.random.default_rng(seed)
    person = draw_person(rng)
    others = [name for name, action in ACTIONS.items() if name != planted and not action.gap]
    frames, pieces, total = int(minutes * 60 * FRAMES_PER_SECOND), [], 0
    while total < frames:
        name = others[rng.integers(len(others))]
        pieces.append((name, act(name, person, rng)))
        total += pieces[-1][1].shape[1] + _TRANSITION
    for number in rng.choice(np.arange(1, len(pieces), 2), times, replace=False):  # never two at once
        pieces[number] = (planted, act(planted, person, rng))
    joints, places, at = [], [], 0
    for number, (name, piece) in enumerate(pieces):
        if number:
            share = np.linspace(0, 1, _TRANSITION + 2)[1:-1, None, None]
            joints.append(joints[-1][:, -1:] * (1 - share) + piece[:, :1] * share)
            at += _TRANSITION
        if name == planted:
            places.append((at, at + piece.shape[1]))
        joints.append(piece)
        at += piece.shape[1]
    return np.concatenate(joints, 1), places


def write_recording(path: Path, joints: np.ndarray) -> None:
    """A store of one clip, ``recording``."""
    how = NormalizeConfig()
    with StoreWriter(path, LAYOUT, (), normalization=how) as writer:
        writer.add(RawClip("recording", normalize(joints, LAYOUT, how)[0]))


def share_found(answers: list[tuple[int, int]], places: list[tuple[int, int]]) -> tuple[float, float]:
    """Precision and recall of places (first frame, end): an answer is right if half of it, or of a place, is shared;
    each place counts once."""
    left, right = list(places), 0
    for start, end in answers:
        for place in left:
            shared = min(end, place[1]) - max(start, place[0])
            if 2 * shared >= min(end - start, place[1] - place[0]):
                left.remove(place)
                right += 1
                break
    return right / len(answers), (len(places) - len(left)) / len(places)
