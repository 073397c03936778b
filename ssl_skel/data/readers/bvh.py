"""BVH motion capture: a hierarchy of joints, and for each frame the angles between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssl_skel.data.frame_rate import rate_of_interval
from ssl_skel.data.readers.description import NamedJoints
from ssl_skel.data.readers.rig import END
from ssl_skel.data.readers.rig_reader import Rigged, RigReader
from ssl_skel.data.readers.turns import turn_about
from ssl_skel.errors import UserError

Lines = Iterator[tuple[int, bytes]]
"""Lines that are not empty, with their numbers."""
_CHANNEL = re.compile(r"([xyz])(position|rotation)", re.IGNORECASE)


class BvhDescription(NamedJoints):
    """``recordings.yaml`` in a folder of BVH files; ``joints`` is for names that are not recognised automatically."""

    units: Literal["m", "cm", "mm"] = "cm"
    """Unit of offsets and positions. The files do not say it; most are in centimetres. CMU's, as Hahne converted them
    for MotionBuilder, are in units of 5.6444 cm: scale=5.6444."""


@dataclass(frozen=True)
class Node:
    """A joint or an end site.

    Attributes:
        name: as in the file, ``END`` for an end site.
        parent: its number, before this one's; its own at the root.
        offset: x, y, z from the parent.
        channels: ("x", "rotation") and the like, in the file's order.
    """

    name: str
    parent: int
    offset: tuple[float, ...] = ()
    channels: tuple[tuple[str, str], ...] = ()


class BvhReader(RigReader):
    """``.bvh`` files, one person each; described by ``recordings.yaml`` (see ``RigReader``, ``BvhDescription``).

    Joints and end sites are placed by forward kinematics.
    """

    Options = BvhDescription
    options: BvhDescription
    pattern = "**/*.[bB][vV][hH]"
    example = "walk/clip01.bvh"
    suffixes = (".bvh",)
    endings = (".bvh", ".BVH")

    def _open(self, file: Path) -> Rigged:
        nodes, motion, fps = parse_bvh(file)
        return Rigged(
            [node.name for node in nodes], [node.parent for node in nodes], partial(forward, nodes, motion), fps
        )


def forward(nodes: Sequence[Node], motion: np.ndarray) -> np.ndarray:
    """Forward kinematics, all frames at once.

    A joint turns its descendants by its rotations in the order of its channels: Zrotation Xrotation Yrotation is
    R = Rz Rx Ry, for column vectors. The root's place is the sum of its offset and its position (Lander, "Working with
    motion capture file formats", Game Developer 1998).
    Paper silent: a position of an inner joint takes the place of its offset, which such files write out in each frame.

    Args:
        nodes: the hierarchy, parents first.
        motion: (T, channels) degrees and lengths, in the order of the nodes' channels.

    Returns:
        (T, V, 3) in the file's unit; NaN or infinite where a number on the way to the root was.
    """
    frames = len(motion)
    places = np.zeros((frames, len(nodes), 3))
    turns: list[np.ndarray] = []
    column = 0
    for number, node in enumerate(nodes):
        place = np.tile(np.array(node.offset), (frames, 1))
        turn = np.broadcast_to(np.eye(3), (frames, 3, 3))
        for axis, kind in node.channels:
            values = motion[:, column]
            column += 1
            if kind == "rotation":
                turn = turn @ turn_about(axis, values)
            elif number:
                place[:, "xyz".index(axis)] = values
            else:
                place[:, "xyz".index(axis)] += values
        if number:
            place = places[:, node.parent] + np.einsum("tij,tj->ti", turns[node.parent], place)
            turn = turns[node.parent] @ turn
        places[:, number] = place
        turns.append(turn)
    return places


def parse_bvh(file: Path) -> tuple[list[Node], np.ndarray, float]:
    """Hierarchy (V nodes, parents first), motion (T, channels) and frames a second (0: unknown) of a file.

    Raises:
        UserError: it cannot be read, or is not a BVH file; names the line.
    """
    try:
        data = file.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}; check the file") from error
    lines = ((number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip())
    try:
        nodes = _hierarchy(file, lines)
        return nodes, *_motion(file, lines, sum(len(node.channels) for node in nodes))
    except StopIteration:
        raise UserError(f"{file}: the file ends too early; export it again") from None


def _hierarchy(file: Path, lines: Lines) -> list[Node]:
    """Nodes up to the line MOTION, which is taken too."""
    nodes: list[Node] = []
    inside: list[int] = []  # nodes whose braces are open
    waits = False  # for the brace of the last node
    number, line = next(lines)
    if line.split() != [b"HIERARCHY"]:
        raise UserError(f"{file}: line {number}: expected HIERARCHY; this is not a BVH file")
    while True:
        number, line = next(lines)
        words = line.decode("utf-8", "backslashreplace").split()
        head, brace = words[0].upper(), words[-1] == "{"
        if head in ("ROOT", "JOINT", "END") and not waits and (head == "ROOT") == (not nodes) == (not inside):
            name = END if head == "END" else " ".join(words[1 : -1 if brace else None])
            nodes.append(Node(name, inside[-1] if inside else 0))
            waits = True
        elif head in ("OFFSET", "CHANNELS") and inside and not waits:
            nodes[inside[-1]] = replace(nodes[inside[-1]], **_property(file, number, words))
        elif head == "}" and inside and not waits and nodes[inside[-1]].offset:
            inside.pop()
        elif head == "MOTION" and nodes and not inside and not waits:
            return nodes
        elif not (head == "{" and waits):
            raise UserError(f"{file}: line {number}: {' '.join(words)[:40]!r} is unexpected; export it again")
        if brace and waits:
            inside.append(len(nodes) - 1)
            waits = False


def _property(file: Path, number: int, words: Sequence[str]) -> dict[str, Any]:
    """What a line OFFSET or CHANNELS says about its node."""
    where = f"{file}: line {number}: {words[0]}"
    if words[0].upper() == "OFFSET":
        try:
            x, y, z = map(float, words[1:])
        except ValueError as error:
            raise UserError(f"{where}: expected three numbers; export it again") from error
        return {"offset": (x, y, z)}
    found = [_CHANNEL.fullmatch(word) for word in words[2:]]
    channels = tuple((match[1].lower(), match[2].lower()) for match in found if match)
    if words[1:2] != [str(len(channels))] or len(channels) < len(found):
        raise UserError(f"{where}: expected their number and as many of Xposition to Zrotation; export it again")
    return {"channels": channels}


def _motion(file: Path, lines: Lines, channels: int) -> tuple[np.ndarray, float]:
    """(T, channels) numbers after the line MOTION, and frames a second."""
    number, line = next(lines)
    header = re.fullmatch(rb"\s*Frames:\s*(\d{1,9})\s*", line, re.IGNORECASE)
    if not header:
        raise UserError(f"{file}: line {number}: expected 'Frames:' and their number; export it again")
    number, line = next(lines)
    interval = re.match(rb"\s*Frame\s+Time:\s*(\S*)", line, re.IGNORECASE)
    if not interval:
        raise UserError(f"{file}: line {number}: expected 'Frame Time:'; export it again")
    fps = rate_of_interval(interval[1].decode("ascii", "replace"))
    frames, rows = int(header[1]), list(lines)
    for number, line in rows:
        if len(line.split()) != channels:
            raise UserError(f"{file}: line {number}: has {len(line.split())} numbers for {channels} channels")
    if len(rows) != frames:
        raise UserError(f"{file}: has {len(rows)} of {frames} frames; export it again")
    if not rows:
        return np.zeros((0, channels)), fps
    try:
        return np.loadtxt([line.decode("ascii") for _, line in rows], ndmin=2, comments=None), fps
    except ValueError as error:
        found = re.search(r"row (\d+), column (\d+)", str(error))
        where = f"line {rows[int(found[1])][0]}, column {found[2]}" if found else "the motion"
        raise UserError(f"{file}: {where}: is not a number; export it again") from error
