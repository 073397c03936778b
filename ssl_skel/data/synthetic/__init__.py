"""Built-in motions, computed from formulas: a small data set for demos and tests, or random movements to pretrain on.

Of the data set's named actions there are subjects, cameras and repetitions as in a real recording: each performance is
seen by all cameras at once. The same config gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from ssl_skel.config import Section
from ssl_skel.data.clip import RawClip, content_hash
from ssl_skel.data.meta import Provenance
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.readers.base import odd_even
from ssl_skel.data.synthetic.actions import ACTIONS
from ssl_skel.data.synthetic.drawn import draw_action
from ssl_skel.data.synthetic.performance import FRAMES_PER_SECOND, draw_person, perform
from ssl_skel.data.synthetic.sensor import Camera, add_noise, drop_out, place_cameras
from ssl_skel.data.synthetic.skeleton import LAYOUT
from ssl_skel.data.writer import StoreWriter
from ssl_skel.progress import progress

__all__ = ["ACTIONS", "SyntheticConfig", "generate", "synthetic_splits", "write_synthetic"]

_CAMERAS, _PERSON, _PERFORMANCE, _SENSOR, _RANDOM = range(5)  # streams of random numbers
_OF_ACTIONS = {"subjects", "cameras", "repetitions", "arc"}  # options that random movements do not have
_HEADING = 0.4  # standard deviation of where a scene faces, radians


class SyntheticConfig(Section):
    """What to generate: clips = actions (13) x subjects x cameras x repetitions; or ``random`` clips."""

    subjects: int = Field(10, ge=2)
    """Persons, numbered from 1; even ones are test subjects."""

    cameras: int = Field(3, ge=2)
    """Cameras, numbered from 1; the last one is the test camera."""

    repetitions: int = Field(2, ge=1)
    """How often each person does each action."""

    arc: float = Field(180.0, ge=0, le=360)
    """Degrees over which the cameras are spread: at 180 the outer ones see a person from the two sides."""

    noise: float = Field(0.02, ge=0)
    """Tracking error at 3 m, metres; a Kinect v2's joints are a few centimetres off (Wang et al., ICHI 2015)."""

    dropout: float = Field(0.3, ge=0, le=1)
    """Chance that a person loses track of a limb for a while in a clip."""

    random: int = Field(0, ge=0)
    """In place of the actions, this many movements drawn at random, without labels: each is done once, by a person of
    its own in front of a camera of its own."""

    seed: int = Field(0, ge=0)
    """Another seed: other persons, other performances, other errors."""

    @model_validator(mode="after")
    def _one_kind(self) -> SyntheticConfig:
        if self.random and (given := self.model_fields_set & _OF_ACTIONS):
            raise ValueError(f"random movements have no {', '.join(sorted(given))}; leave that out")
        return self


def write_synthetic(path: Path, config: SyntheticConfig, *, overwrite: bool = False) -> None:
    """Generate the motions and write them as a store, normalised as real recordings are.

    Splits: ``xsub``, ``xview``, and ``unseen``, which tests on unseen subjects in front of the unseen camera
    and leaves out of both sides what mixes seen and unseen. Random movements have none.

    Raises:
        UserError: the path is taken.
    """
    how, unused = NormalizeConfig(), _OF_ACTIONS if config.random else {"random"}
    writer = StoreWriter(
        path,
        LAYOUT,
        () if config.random else tuple(ACTIONS),
        splits={} if config.random else synthetic_splits(config),
        provenance=Provenance(format="synthetic", config=config.model_dump(mode="json", exclude=unused)),
        normalization=how,
        overwrite=overwrite,
    )
    with writer as store:
        for clip in progress(generate(config), "synthetic", total=_clips(config), unit="clip", delay=1):
            joints, gaps = normalize(clip.joints, LAYOUT, how)
            store.filled += gaps
            store.add(replace(clip, joints=joints), content_hash(clip.joints))


def synthetic_splits(config: SyntheticConfig) -> dict[str, dict[str, Any]]:
    """Splits of the generated store, in the form of ``ssl_skel.data.splits``."""
    xsub = odd_even(range(1, config.subjects + 1))
    xview = {"train": {"camera": list(range(1, config.cameras))}, "test": {"camera": [config.cameras]}}
    return {"xsub": xsub, "xview": xview, "unseen": {side: {**xsub[side], **xview[side]} for side in xsub}}


def _clips(config: SyntheticConfig) -> int:
    return config.random or len(ACTIONS) * config.subjects * config.cameras * config.repetitions


def generate(config: SyntheticConfig) -> Iterator[RawClip]:
    """All clips as a sensor gives them: in metres in a camera's frame, noisy, NaN where track was lost."""
    return _random(config) if config.random else _acted(config)


def _random(config: SyntheticConfig) -> Iterator[RawClip]:
    for number in range(config.random):
        chance = _rng(config, _RANDOM, number)
        action, person = draw_action(chance), draw_person(chance)
        joints = perform(action, [person], chance.normal(0, _HEADING), chance)
        (camera,) = place_cameras(1, 0, chance)
        yield RawClip(f"random_{number:06}", _sensed(config, camera, joints, chance), -1, fps=FRAMES_PER_SECOND)


def _acted(config: SyntheticConfig) -> Iterator[RawClip]:
    cameras = place_cameras(config.cameras, config.arc, _rng(config, _CAMERAS))
    for subject in range(1, config.subjects + 1):
        person = draw_person(_rng(config, _PERSON, subject))
        for label, (name, action) in enumerate(ACTIONS.items()):
            for repetition in range(config.repetitions):
                key = (subject, label, repetition)
                chance = _rng(config, _PERFORMANCE, *key)
                persons = [person, *(draw_person(chance) for _ in action.moves[1:])]
                joints = perform(action, persons, chance.normal(0, _HEADING), chance)
                for number, camera in enumerate(cameras, 1):
                    yield RawClip(
                        f"{name}_s{subject:02}_r{repetition}_c{number}",
                        _sensed(config, camera, joints, _rng(config, _SENSOR, *key, number)),
                        label,
                        subject=subject,
                        camera=number,
                        replication=repetition,
                        fps=FRAMES_PER_SECOND,
                    )


def _sensed(config: SyntheticConfig, camera: Camera, joints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    seen = add_noise(camera.see(joints), config.noise, rng)
    return drop_out(seen, config.dropout, rng).astype(np.float32)


def _rng(config: SyntheticConfig, *key: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, *key])
