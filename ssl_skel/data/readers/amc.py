"""Acclaim motion capture (CMU, HDM05): a skeleton ``.asf`` and, for each recording, angles ``.amc``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ssl_skel.data.readers.rig_reader import Rigged, RigReader
from ssl_skel.data.readers.turns import turn_about
from ssl_skel.errors import UserError

_INCH = 0.0254  # metres
_DOFS = ("rx", "ry", "rz", "tx", "ty", "tz")


@dataclass(frozen=True)
class Bone:
    """A bone, or the root, which has no length.

    Attributes:
        name: as in the file.
        offset: (3,) from the parent's end to its own, in the skeleton's axes and the file's unit.
        axis: (3, 3) its own axes, in which its angles count.
        dofs: what its numbers mean, such as rx.
    """

    name: str
    offset: np.ndarray
    axis: np.ndarray
    dofs: tuple[str, ...] = ()


@dataclass
class Skeleton:
    """The contents of an ``.asf`` file.

    Attributes:
        bones: the root first.
        parents: name -> name of the parent.
        metres: length of a unit.
        degrees: angles are in degrees.
    """

    bones: dict[str, Bone]
    parents: dict[str, str] = field(default_factory=dict)
    metres: float = _INCH
    degrees: bool = True

    def ordered(self) -> tuple[list[Bone], list[int]]:
        """Bones in the file's order, and numbers of their parents; the root's is its own."""
        numbers = {name: number for number, name in enumerate(self.bones)}
        return list(self.bones.values()), [numbers[self.parents.get(name, name)] for name in self.bones]


class AmcReader(RigReader):
    """``.amc`` files, one person each, beside one ``.asf``; described by ``recordings.yaml`` (see ``RigReader``).

    An ``.asf`` of the same name, or of the part before the last ``_`` (``01.asf`` for ``01_02.amc``), takes precedence
    over the only one in the folder::

        01.asf      :units length 0.45 angle deg  :root order TX TY TZ RX RY RZ …  :bonedata begin name lfemur …
        01_02.amc   1 / root 9.37 17.87 -17.32 -2.02 -7.63 -2.28 / lfemur -3.91 0.42 -17.46 / …

    Joints are the lower ends of the bones, and the root. Lengths are inches divided by the file's ``length`` (CMU's
    0.45), which become metres; y is up. Angles turn a bone about its own axes, the first one first (Schafer, "Acclaim
    Skeleton File Definition V1.10"; CMU, mocap.cs.cmu.edu/faqs.php on the unit).
    """

    pattern = "**/*.[aA][mM][cC]"
    example = "subjects/01/01_02.amc and subjects/01/01.asf"
    suffixes = (".amc",)
    endings = (".amc", ".AMC")

    def _open(self, file: Path) -> Rigged:
        skeleton = read_skeleton(_skeleton_of(file))
        bones, parents = skeleton.ordered()
        return Rigged([bone.name for bone in bones], parents, partial(_places, file, skeleton))


def _skeleton_of(file: Path) -> Path:
    """The ``.asf`` that a recording belongs to.

    Raises:
        UserError: it is missing, or there are several of other names.
    """
    found = {path.stem: path for path in sorted(file.parent.iterdir()) if path.suffix.lower() == ".asf"}
    for name in (file.stem, file.stem.rpartition("_")[0], *([next(iter(found))] if len(found) == 1 else [])):
        if name in found:
            return found[name]
    what = f"{len(found)} .asf files, none of its name" if found else "no .asf file"
    raise UserError(f"{file}: found {what} beside it; put its skeleton there, as {file.stem}.asf")


def read_skeleton(file: Path) -> Skeleton:
    """An ``.asf`` file.

    Raises:
        UserError: it is damaged; names the line.
    """
    skeleton = Skeleton({"root": Bone("root", np.zeros(3), np.eye(3))})
    section, words_of, number, begun = "", dict[str, list[str]](), 0, False
    try:
        for number, words in _lines(file):  # noqa: B007 - reported where it fails
            if words[0].startswith(":"):
                section = words[0][1:].lower()
                words = words[1:]
            if not words:
                continue
            if section == "units":
                skeleton = _unit(skeleton, words)
            elif section == "root":
                words_of[words[0].lower()] = words[1:]
            elif section == "bonedata" and words[0] in ("begin", "end"):
                if words[0] == "end":
                    bone = _bone(words_of, skeleton.degrees)
                    skeleton.bones[bone.name] = bone
                elif not begun:
                    skeleton.bones["root"], begun = _root(words_of, skeleton.degrees), True
                words_of = {}
            elif section == "bonedata":
                words_of[words[0].lower()] = words[1:]
            elif section == "hierarchy" and words[0] not in ("begin", "end"):
                known = [skeleton.bones[word].name for word in words]
                skeleton.parents |= dict.fromkeys(known[1:], known[0])
    except (ValueError, KeyError, IndexError) as error:
        raise UserError(f"{file}: line {number}: does not fit a skeleton ({error}); download it again") from error
    if len(skeleton.parents) != len(skeleton.bones) - 1 or not skeleton.parents:
        raise UserError(f"{file}: hierarchy: does not attach all bones to the root; download it again")
    return skeleton


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Words of lines that hold any, with their numbers; what follows # is a remark."""
    try:
        text = file.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "backslashreplace")
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}; check the file") from error
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if words:
            yield number, words


def _unit(skeleton: Skeleton, words: Sequence[str]) -> Skeleton:
    if words[0] == "length":
        skeleton.metres = _INCH / float(words[1])
        if not 0 < skeleton.metres < np.inf:
            raise ValueError("length")
    elif words[0] == "angle":
        skeleton.degrees = words[1].lower().startswith("deg")
    return skeleton


def _root(words: dict[str, list[str]], degrees: bool) -> Bone:
    """The root, from its section; where it stands at rest is in each frame's numbers."""
    axis = _axes(words.get("orientation", ["0"] * 3), words.get("axis", ["XYZ"])[0], degrees)
    return Bone("root", np.zeros(3), axis, _dofs(words.get("order", [])))


def _bone(words: dict[str, list[str]], degrees: bool) -> Bone:
    *angles, order = words["axis"]
    direction = np.array([float(word) for word in words["direction"]])
    if direction.shape != (3,):
        raise ValueError("direction")
    dofs = _dofs(word for word in words.get("dof", []) if word.lower() != "l")
    return Bone(words["name"][0], direction * float(words["length"][0]), _axes(angles, order, degrees), dofs)


def _dofs(words: Iterable[str]) -> tuple[str, ...]:
    dofs = tuple(word.lower() for word in words)
    if set(dofs) - set(_DOFS):
        raise ValueError(f"none of {', '.join(_DOFS)}")
    return dofs


def _axes(angles: Sequence[str], order: str, degrees: bool) -> np.ndarray:
    """(3, 3) axes that three angles turn, in the order of the letters, the first one first."""
    axes = np.eye(3)
    for axis, angle in zip(order.lower(), angles, strict=True):
        axes = turn_about(axis, np.array([float(angle)]), degrees=degrees)[0] @ axes
    return axes


def _places(file: Path, skeleton: Skeleton) -> np.ndarray:
    """(T, V, 3) metres, the bones' lower ends and the root."""
    bones, parents = skeleton.ordered()
    motion = _motion(file, bones)
    frames = len(motion["root"])
    ends, turns = np.zeros((frames, len(bones), 3)), np.zeros((len(bones), frames, 3, 3))
    for number in _parents_first(parents):
        bone = bones[number]
        own, moved = np.broadcast_to(np.eye(3), (frames, 3, 3)), np.zeros((frames, 3))
        for dof, values in zip(bone.dofs, motion[bone.name].T, strict=True):
            if dof[0] == "r":
                own = turn_about(dof[1], values, degrees=skeleton.degrees) @ own
            else:
                moved[:, "xyz".index(dof[1])] = values
        own = bone.axis @ own @ bone.axis.T
        turns[number] = own if parents[number] == number else turns[parents[number]] @ own
        ends[:, number] = ends[:, parents[number]] + turns[number] @ bone.offset + moved
    return ends * skeleton.metres


def _parents_first(parents: Sequence[int]) -> list[int]:
    order = [0]
    for joint in order:
        order += [child for child, parent in enumerate(parents) if parent == joint != child]
    return order


def _motion(file: Path, bones: Sequence[Bone]) -> dict[str, np.ndarray]:
    """Name of a bone -> (T, its dofs) numbers.

    Raises:
        UserError: a bone is unknown, is missing in a frame, or has another count of numbers; names the line.
    """
    wanted = {bone.name: len(bone.dofs) for bone in bones}
    values: dict[str, list[list[float]]] = {name: [] for name in wanted}
    frames = 0
    for number, words in _lines(file):
        if words[0].startswith(":"):
            continue
        if len(words) == 1 and words[0].isdigit():
            frames += 1
            continue
        numbers = [_number(word) for word in words[1:]]
        if words[0] not in wanted or len(numbers) != wanted[words[0]] or None in numbers or not frames:
            raise UserError(f"{file}: line {number}: {words[0][:40]!r} does not fit the skeleton; download it again")
        values[words[0]].append([value for value in numbers if value is not None])
        if len(values[words[0]]) != frames:
            raise UserError(f"{file}: line {number}: frame {frames} has {words[0]!r} twice, or one before lacks it")
    for name, rows in values.items():
        if wanted[name] and len(rows) != frames:
            raise UserError(f"{file}: has {len(rows)} of {frames} frames of {name!r}; download it again")
    return {name: np.array(rows, np.float64).reshape(frames, wanted[name]) for name, rows in values.items()}


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
