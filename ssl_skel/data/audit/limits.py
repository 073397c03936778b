"""Thresholds of the audit, each with its reason. Lengths are metres; other units are converted first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from ssl_skel.config import Section


class Limits(Section):
    """When the audit reports a finding. The figures in brackets are clips of NW-UCLA (1,484), UTD-MHAD (861) and SBU
    (282).
    """

    former: ClassVar[Mapping[str, str]] = {
        "drift": "bone_length",
        "drift_metres": "bone_length_metres",
        "drift_frames": "bone_length_frames",
        "twins": "duplicate_person",
    }

    jump: float = Field(0.5, gt=0)
    """Metres from one frame to the next, averaged over the joints of a person. 15 m/s at 30 frames a second, faster
    than anyone runs: the tracker switched to another body. [57, 0, 0]"""

    spike: float = Field(0.5, gt=0)
    """Metres that a joint is away from the line between its places before and after, which lie closer together than
    that. A hand that really goes there and back in so few frames would pull 45 g and more at 30 frames a second.
    [57, 1, 0]"""

    spike_frames: int = Field(3, ge=1)
    """Longest spike, frames. From five on, throws in recordings of a low frame rate look the same."""

    bone_length: float = Field(0.5, gt=0)
    """Share by which a bone is longer or shorter than its median in the clip. Bones do not change; sensors err, so all
    three ``bone_length`` limits must be passed. [21, 6, 7]"""

    bone_length_metres: float = Field(0.2, gt=0)
    """The same in metres: half of a hand's 8 cm is within a Kinect's error (Wang et al., ICHI 2015)."""

    bone_length_frames: float = Field(0.2, ge=0, le=1)
    """Share of the frames in which it is so; a short slip does not count."""

    swap: float = Field(0.2, gt=0)
    """Metres that a left and a right limb (two persons) together must seem to move between two frames when they
    exchange places, averaged over joints, while they would move less than half as far with names exchanged. Limbs
    nearer together than that cannot be distinguished. [11, 0, 0 limbs; no persons]"""

    mirrored: float = Field(0.5, gt=0, le=1)
    """Cosine between where the feet point and where the left and right side of the body say that it faces, clip's
    median; beyond minus this, left and right are mixed up throughout. Sound clips: 0.8-0.98. [3, 0, no feet]"""

    still_frames: int = Field(5, ge=2)
    """Frames in which a joint keeps its place to the last digit while others move. A sensor's noise never does that
    [0, 0, 0]; ends of gaps that were filled do."""

    straight_frames: int = Field(3, ge=2)
    """Frames in which a joint goes straight ahead at an even speed, to the last digit: a gap that was filled.
    [0, 0, 0]"""

    duplicate_person: float = Field(0.1, gt=0)
    """Metres between two persons' joints, median over frames of the average: one body tracked as two. Persons who
    embrace are further apart than that. [-, -, 0]"""

    shortest: float = Field(0.9, gt=0)
    """Metres along the bones from head to foot, at least: a child of four. Adults here: 1.18-2.06."""

    tallest: float = Field(2.5, gt=0)
    """The same, at most. Bones that zigzag through hips and shoulders make it more than a person's height."""

    near: float = Field(0.01, ge=0)
    """Root mean square metres between the joints of two clips, up to where they count as near duplicates. The nearest
    two recordings that are not copies lie 0.017 apart (UTD-MHAD, one person waving twice), 0.059 in NW-UCLA and 0.10 in
    SBU; rounding to millimetres, half precision or mild smoothing move a copy by less than 0.005."""

    near_view: bool = True
    """Turn clips about the vertical, shoulders along x, before they are compared, so that turned copies are found.
    Nearest recordings that are not copies: 0.018, 0.059, 0.10."""

    overlap: float = Field(0.1, gt=0, le=1)
    """Share of the poses of the shorter clip that two clips have in common, and five poses at least: two cuts of one
    recording. A sensor never gives the same pose twice. [15 pairs, 1, 0]"""

    imbalance: float = Field(10.0, ge=1)
    """How many times more clips the largest class has than the smallest (subjects likewise) before it is mentioned. The
    sets at hand: 1.2, 1.04 and 2.4 for classes."""
