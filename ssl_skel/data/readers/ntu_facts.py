"""Published facts about NTU RGB+D 60 and 120 that several formats need: class names, clip names, splits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
"""Setup, camera, subject, replication and action of a clip, as in S001C002P003R002A013."""

_TRAIN_60 = (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
_TRAIN_120 = (
    *_TRAIN_60,
    *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86),
    *(89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
)


def _rest(chosen: Iterable[int], last: int) -> list[int]:
    return sorted(set(range(1, last + 1)) - set(chosen))


SPLITS_60: dict[str, dict[str, Any]] = {
    "xsub": {"train": {"subject": list(_TRAIN_60)}, "test": {"subject": _rest(_TRAIN_60, 40)}},
    "xview": {"train": {"camera": [2, 3]}, "test": {"camera": [1]}},
}
"""Shahroudy et al., CVPR 2016, Sec. 3.2."""

SPLITS_120: dict[str, dict[str, Any]] = {
    "xsub": {"train": {"subject": list(_TRAIN_120)}, "test": {"subject": _rest(_TRAIN_120, 106)}},
    "xset": {"train": {"setup": list(range(2, 33, 2))}, "test": {"setup": list(range(1, 33, 2))}},
}
"""Liu et al., TPAMI 2020, Sec. 3.3."""

_NAMES = """
    drink water, eat meal, brush teeth, brush hair, drop, pick up, throw, sit down, stand up, clapping, reading,
    writing, tear up paper, put on jacket, take off jacket, put on a shoe, take off a shoe, put on glasses,
    take off glasses, put on a hat, take off a hat, cheer up, hand waving, kicking something, reach into pocket,
    hopping, jump up, phone call, play with phone, type on a keyboard, point to something, taking a selfie,
    check time, rub two hands, nod head, shake head, wipe face, salute, put palms together, cross hands in front,
    sneeze or cough, staggering, falling down, headache, chest pain, back pain, neck pain, nausea, fan self,
    punch or slap, kicking, pushing, pat on back, point finger, hugging, giving object, touch pocket, shaking hands,
    walking towards, walking apart, put on headphone, take off headphone, shoot at basket, bounce ball,
    tennis bat swing, juggle table tennis ball, hush, flick hair, thumb up, thumb down, make OK sign,
    make victory sign, staple book, counting money, cutting nails, cutting paper, snap fingers, open bottle, sniff,
    squat down, toss a coin, fold paper, ball up paper, play magic cube, apply cream on face, apply cream on hand,
    put on bag, take off bag, put object into bag, take object out of bag, open a box, move heavy objects,
    shake fist, throw up cap, capitulate, cross arms, arm circles, arm swings, run on the spot, butt kicks,
    cross toe touch, side kick, yawn, stretch oneself, blow nose, hit with object, wield knife, knock over,
    grab stuff, shoot with gun, step on foot, high-five, cheers and drink, carry object, take a photo, follow,
    whisper, exchange things, support somebody, rock-paper-scissors
"""
CLASS_NAMES: tuple[str, ...] = tuple(" ".join(name.split()) for name in _NAMES.split(","))
"""Actions 1 to 60 (NTU-60) and on to 120. From number 50 to 60 and 106 on, two persons act."""


def columns(name: str) -> dict[str, int]:
    """Columns of a clip from its name (label from 0), or none if it is not named so."""
    match = NAME.match(name)
    if not match:
        return {}
    setup, camera, subject, replication, action = map(int, match.groups())
    return {
        "label": action - 1,
        "subject": subject,
        "camera": camera,
        "setup": setup,
        "replication": replication,
    }
