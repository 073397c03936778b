"""Stores whose people lie down or are not human size are noticed, with the option that mends it; others are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ssl_skel.data.meta import Provenance
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.plausibility import body_of, implausible
from ssl_skel.data.sources.recordings import store_of
from ssl_skel.data.store import Store
from ssl_skel.layouts import LAYOUTS

KINECT = LAYOUTS["kinect20"]
HEIGHTS = {"head": 1.65, "shoulder_centre": 1.4, "spine": 1.1, "hip_centre": 1.0, "shoulder": 1.4, "elbow": 1.1}
HEIGHTS |= {"wrist": 0.9, "hand": 0.85, "hip": 0.95, "knee": 0.5, "ankle": 0.1, "foot": 0.03}


def standing(frames: int = 4) -> np.ndarray:
    """(1, T, 20, 3) of somebody who stands and sways, metres, y up."""
    joints = np.zeros((1, frames, 20, 3))
    for number, name in enumerate(KINECT.joints):
        side = {"left": -0.2, "right": 0.2}.get(name.split("_")[0], 0.0)
        joints[:, :, number, 0] = side + 0.02 * np.arange(frames)
        joints[:, :, number, 1] = HEIGHTS[name if name in HEIGHTS else name.split("_")[-1]]
    return joints


def store(joints: np.ndarray, clips: int = 3, **options: Any) -> Store:
    return replace(store_of([joints] * clips, KINECT), provenance=Provenance(format="npy", options=options))


def messages(store: Store) -> list[str]:
    return [notice.message for notice in implausible(store)]


def test_somebody_who_stands_is_not_noticed() -> None:
    assert messages(store(standing(), up="y", units="m")) == []
    assert messages(store(standing()[..., :2] / 3, up="-y")) == []  # a third of the image's height


@pytest.mark.parametrize(
    ("axes", "signs", "said", "better"),
    [
        ([0, 2, 1], [1, 1, 1], "y", "z"),  # as recorded z is up
        ([0, 1, 2], [-1, -1, 1], "y", "-y"),
        ([0, 1, 2], [-1, -1, 1], "-y", "y"),
        ([0, 2, 1], [-1, 1, 1], "z", "y"),
        ([0, 1, 2], [1, -1, 1], "z", "-z"),
        ([0, 2, 1], [-1, 1, 1], "-y", "z"),
    ],
)
def test_a_wrong_axis_is_noticed(axes: list[int], signs: list[int], said: str, better: str) -> None:
    (notice,) = implausible(store(standing()[..., axes] * signs, up=said, units="m"))
    assert (notice.kind, notice.clips, notice.looked_at) == ("up", 3, 3)
    assert "heads are not above feet in 3 of 3 clips" in notice.message
    wanted = f"try up={better} (now up={said})" if better != "-z" else "check up=z"
    assert notice.message.endswith(wanted)


@pytest.mark.parametrize(
    ("factor", "said", "remedy"),
    [
        (100, "m", "try units=cm (now units=m)"),
        (1000, "m", "try units=mm (now units=m)"),
        (0.1, "mm", "try units=cm (now units=mm)"),
        (0.01, "cm", "try units=m (now units=cm)"),
        (0.177, "cm", "check units=cm, or try scale=5"),
    ],
)
def test_a_wrong_unit_is_noticed(factor: float, said: str, remedy: str) -> None:
    (notice,) = implausible(store(standing() * factor, up="y", units=said))
    assert (notice.kind, notice.clips) == ("units", 3)
    assert remedy in notice.message


def test_formats_of_fixed_axes_and_units_have_no_option_to_try() -> None:
    found = messages(store(standing()[..., [0, 2, 1]] * 1000))
    assert [line.rpartition("; ")[2] for line in found] == [
        "the files have other axes than this format",
        "the files are in another unit than this format",
    ]


def test_images_of_another_height_are_noticed() -> None:
    (line,) = messages(store(standing()[..., :2] / 1000, up="-y", height=1080.0))
    assert line.endswith("check height=1080")


def test_a_few_who_lie_and_lengths_that_count_nothing_are_not_noticed() -> None:
    lying = store_of([standing(), standing(), standing()[..., [0, 2, 1]]], KINECT)
    assert messages(lying) == []
    scaled = replace(store(standing() / 0.2, units="m"), normalization=NormalizeConfig(scale=True))
    assert messages(scaled) == []


def test_hands_have_no_head() -> None:
    hand = LAYOUTS["hand21"]
    assert body_of(hand) is None
    assert implausible(store_of([np.ones((1, 2, 21, 3))], hand)) == ()


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "hand21"])
def test_every_body_has_a_head_above_its_ankles(name: str) -> None:
    body = body_of(LAYOUTS[name])
    assert body is not None
    joints = LAYOUTS[name].joints
    assert {joints[joint] for joint in body.feet} == {"left_ankle", "right_ankle"} or name == "sbu15"
    assert all("head" in joints[joint] or "nose" in joints[joint] for joint in body.head)
    assert 3 <= body.chain.sum() <= 12
