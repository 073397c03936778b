"""Skeletons that no data set has: a hand of three joints, as a user would write it, and a single joint."""

from __future__ import annotations

from dataclasses import replace

from ssl_skel.layouts import parse_layout

HAND = parse_layout(
    {
        "name": "hand3", "joints": ["wrist", "left_tip", "right_tip"],
        "bones": {"left_tip": "wrist", "right_tip": "wrist"}, "centre": "wrist", "across": ["left_tip", "right_tip"],
        "body": {"palm": ["wrist"], "fingers": ["left_tip", "right_tip"]},
        "part": {"palm": ["wrist"], "left": ["left_tip"], "right": ["right_tip"]},
    },
    "hand3",
)  # fmt: skip
ALONE = ((0,),)
DOT = replace(
    HAND, name="dot", joints=("dot",), parents=(0,), mirror=(0,), centre=0, across=(0, 0),
    body=ALONE, part=ALONE, body_names=("dot",), part_names=("dot",),
)  # fmt: skip
