"""What a user's ``.npz`` says about its clips, besides their coordinates; checked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from pydantic import Field

from ssl_skel.config import Section, parse_config
from ssl_skel.data.npz_members import DAMAGE, MOST_CLIPS, member_names, read_columns, read_shape
from ssl_skel.data.readers.description import (
    ALSO,
    VALUES,
    NamedJoints,
    check_value,
    describe_clip,
    find_description,
    find_layout,
    read_description,
    read_labels,
)
from ssl_skel.data.readers.plane import ArrayDescription
from ssl_skel.data.readers.rig import joint_names, known_layout, rig_layout, rig_map
from ssl_skel.errors import UserError
from ssl_skel.layouts import LayoutLike, SkeletonLayout, load_layout
from ssl_skel.layouts.mapping import JointMap
from ssl_skel.names import misspelt

Column = Literal["label", "subject", "camera", "setup", "replication", "recording", "name", "split"]
_NUMBERS = ("frames", "persons", "offsets")
_MEMBERS = (
    *("joints", "pos", "root", *_NUMBERS, *get_args(Column), "action", "class_names"),
    *("parents", "root_joint", "fps", "up", "units", *ALSO),
)


class NpzDescription(NamedJoints, ArrayDescription):
    """The YAML file beside an ``.npz``, or ``recordings.yaml``."""

    of_source = NamedJoints.of_source | {"columns"}

    columns: dict[Column, str] = Field(default_factory=dict)
    """What is read -> the member that holds it, as in {label: content}; default: the member of its own name, if there
    is one. For label, ``action`` takes precedence over ``label``."""


@dataclass(frozen=True)
class Contents:
    """One file without its coordinates.

    Attributes:
        layout: joints of its clips.
        description: what the YAML file, the command line and the file itself say.
        coordinates: the member that holds them, ``joints`` or ``pos``.
        shape: of that member; three numbers if clips follow one another.
        rooted: coordinates count from the member ``root``.
        take: the map to the layout, if the file names its joints and another layout is requested.
        columns: member -> (N,) values.
        names: (N,) of the clips.
        fps: (N,) of each clip; 0 where unknown.
        labels: as text; None: ``columns`` has them as numbers, or they are unknown.
    """

    layout: SkeletonLayout
    description: NpzDescription
    coordinates: str
    shape: tuple[int, ...]
    rooted: bool
    take: JointMap | None
    columns: dict[str, np.ndarray]
    names: np.ndarray
    fps: np.ndarray
    labels: tuple[str, ...] | None = field(default=None)

    def column(self, name: str, default: int = -1) -> np.ndarray:
        """(N,) values of a column, or the default."""
        values: np.ndarray = self.columns.get(name, np.full(self.clips, default))
        return values

    def value(self, name: str, row: int, default: int = -1) -> int:
        """The value of one clip in a column, or the default."""
        return int(self.columns[name][row]) if name in self.columns else default

    @property
    def flat(self) -> bool:
        """Whether clips follow one another without padding."""
        return len(self.shape) == 3

    @property
    def clips(self) -> int:
        """N."""
        return len(self.columns["frames"]) if self.flat else self.shape[0]


def read_contents(file: Path, layout: LayoutLike | None, words: Section) -> Contents:
    """Everything that a file says, without its coordinates.

    Args:
        file: the ``.npz``.
        layout: name or path of a layout, from the command line.
        words: of the command line, an ``NpzDescription``.

    Raises:
        UserError: the file is damaged, or its members do not fit together; names the member.
    """
    beside = find_description(file)
    description = read_description(NpzDescription, beside, words)
    try:
        there = member_names(file)
        coordinates, rooted = "pos" if "pos" in there else "joints", "root" in there
        others = [name for name in there if name not in (coordinates, "root")]
        held = read_columns(file, [name for name in others if name in (*_MEMBERS, *description.columns.values())])
        shape, dtype, whole = read_shape(file, coordinates)
        root = read_shape(file, "root") if rooted else None
    except DAMAGE as error:
        raise UserError(f"{file}: is damaged, or no .npz of plain arrays with a member 'joints' or 'pos'") from error
    if not whole or (root and not root[2]):
        raise UserError(f"{file}: {coordinates}: is truncated; make the file again")
    if coordinates == "joints" and dtype.kind == "U":
        raise UserError(f"{file}: pos: missing; joints holds names, so pos must hold the coordinates (F, V, C)")
    description = _with_own_words(file, description, held)
    rig = _rig(file, description, held) if "parents" in held or (coordinates == "pos" and "joints" in held) else None
    wanted = load_layout(layout) if layout else find_layout(description, beside, file) if description.layout else None
    own = wanted or (known_layout(rig) if rig else find_layout(description, beside, file))
    take = rig_map(rig, own, str(file)) if rig and rig.joints != own.joints else None
    _check_coordinates(file, coordinates, shape, dtype, rig or own, root[0] if root else None)
    if description.up == "z" and shape[-1] == 2:
        raise UserError(f"{beside}: up: z needs three coordinates; {coordinates} has two")
    _check_members(file, description, others)
    columns = _columns(file, description, held, flat=len(shape) == 3)
    unknown = np.zeros(0)
    content = Contents(own, description, coordinates, shape, rooted, take, columns, unknown, unknown)
    _check_columns(file, content)
    return replace(_described(file, beside, content), fps=_rates(file, held, content.clips))


def _with_own_words(file: Path, description: NpzDescription, held: dict[str, np.ndarray]) -> NpzDescription:
    """The description with the file's own ``up`` and ``units``, unless they are given elsewhere."""
    own: dict[str, Any] = {name: held[name].item() for name in ("up", "units") if name in held and held[name].ndim == 0}
    own = {name: word for name, word in own.items() if name not in description.model_fields_set}
    try:
        parse_config(NpzDescription, own, str(file))
    except UserError as error:
        raise UserError(f"{error}; give the right one on the command line, as in {next(iter(own))}=...") from error
    return description.model_copy(update=own)


def _rates(file: Path, held: dict[str, np.ndarray], clips: int) -> np.ndarray:
    """Frames a second of each clip, by the member ``fps``; 0 where it does not say."""
    fps = held.get("fps", np.zeros(()))
    if fps.dtype.kind not in "fiu" or fps.shape not in ((), (1,), (clips,)):
        raise UserError(f"{file}: fps: has shape {fps.shape} of {fps.dtype}; expected one number, or one per clip")
    known = np.where(np.isfinite(fps) & (fps > 0), fps, 0).astype(np.float64)
    return np.broadcast_to(known, (clips,))


def _rig(file: Path, description: NpzDescription, held: dict[str, np.ndarray]) -> SkeletonLayout:
    """The layout that the members ``joints`` (names) and ``parents`` amount to."""
    raw, parents = held.get("joints", np.zeros(0)), held.get("parents", np.zeros(0))
    if raw.ndim != 1 or raw.dtype.kind != "U" or parents.shape != raw.shape or parents.dtype.kind not in "iu":
        raise UserError(
            f"{file}: joints, parents: with pos, give (V,) names of joints and (V,) numbers of their parents"
        )
    numbers = [joint if parent < 0 else int(parent) for joint, parent in enumerate(parents.tolist())]
    if max(numbers, default=0) >= len(numbers):
        raise UserError(f"{file}: parents: must be numbers of joints, below {len(numbers)}")
    return rig_layout(joint_names(raw.tolist(), numbers, description.joints), numbers, str(file))


def _check_coordinates(
    file: Path, member: str, shape: tuple[int, ...], dtype: np.dtype, own: SkeletonLayout, root: tuple[int, ...] | None
) -> None:
    dimensions = (3,) if member == "pos" else (3, 4, 5)
    if len(shape) not in dimensions or shape[-2] != own.num_joints or shape[-1] not in (2, 3):
        forms = "flat (F, V, C)" if member == "pos" else "(N, T, V, C), (N, M, T, V, C) or flat (F, V, C)"
        raise UserError(
            f"{file}: {member}: has shape {shape}; expected {forms} "
            f"with V = {own.num_joints} joints of {own.name} and C = 2 or 3"
        )
    if dtype.kind not in "fiu":
        raise UserError(f"{file}: {member}: holds {dtype}; expected numbers")
    if root is not None and (member != "pos" or root != (shape[0], shape[2])):
        raise UserError(f"{file}: root: has shape {root}; expected one row of {shape[-1]} for each row of pos")


def _check_members(file: Path, description: NpzDescription, others: list[str]) -> None:
    """Refuse names of members that look like a misspelling, and columns that do not exist."""
    for name in others:
        meant = misspelt(name, _MEMBERS)
        if meant:
            raise UserError(f"{file}: unknown member {name!r}; did you mean {meant!r}?")
    for column, name in description.columns.items():
        if name not in others:
            raise UserError(f"{file}: columns: {column}: there is no member {name!r}; it holds {', '.join(others)}")


def _columns(file: Path, description: NpzDescription, held: dict[str, np.ndarray], *, flat: bool) -> dict[str, Any]:
    """(N,) values by what they mean; ``offsets`` become ``frames``."""
    stands = {name: name for name in ("frames", "persons", *get_args(Column), "class_names")}
    stands |= {"label": "action"} if "action" in held else {}
    stands |= {column: word for word, column in ALSO.items() if word in held and column not in held}
    stands |= description.columns
    columns = {column: held[name] for column, name in stands.items() if name in held}
    if "offsets" in held:
        offsets = held["offsets"]
        if not flat or "frames" in held:
            raise UserError(f"{file}: offsets: are for flat coordinates without frames; leave one of them out")
        if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or not offsets.size or offsets[0] != 0:
            raise UserError(
                f"{file}: offsets: expected one row of whole numbers, the first 0, the last the rows of all"
            )
        columns["frames"] = np.diff(offsets.astype(np.int64)) // columns.get("persons", 1)
    if flat and "frames" not in columns:
        raise UserError(f"{file}: frames: missing; flat coordinates (F, V, C) need the frames of each clip, or offsets")
    return columns


def _check_columns(file: Path, content: Contents) -> None:
    """Refuse wrong lengths and kinds, and lengths that do not fit the coordinates."""
    for name, values in content.columns.items():
        wanted = "whole numbers" if name in _NUMBERS else "text"
        kinds = "iu" if name in _NUMBERS else "U"
        if name in ("label", *VALUES):
            kinds, wanted = "iuU", "whole numbers or text"
        if values.ndim not in ((1, 2) if name == "split" else (1,)) or values.dtype.kind not in kinds:
            raise UserError(f"{file}: {name}: has shape {values.shape} of {values.dtype}; expected one row of {wanted}")
        if name != "class_names" and len(values) != content.clips:
            raise UserError(f"{file}: {name}: has {len(values)} values for {content.clips} clips")
    if not 0 < content.clips <= MOST_CLIPS:
        wanted = "no clips" if not content.clips else f"more than {MOST_CLIPS:,} clips; split it up"
        raise UserError(f"{file}: {content.coordinates}: holds {wanted}")
    frames, persons = content.columns.get("frames"), content.column("persons", 1)
    if content.flat and frames is not None and frames.min() < 0:
        raise UserError(f"{file}: frames: must be at least 0")
    if not content.flat and "persons" in content.columns:
        raise UserError(f"{file}: persons: only flat joints need it; leave it out")
    if persons.min() < 1:
        raise UserError(f"{file}: persons: must be at least 1")
    if content.flat and (persons * content.column("frames")).sum() != content.shape[0]:
        raise UserError(
            f"{file}: frames: frames x persons do not add up to the {content.shape[0]} rows of {content.coordinates}"
        )
    if not set(content.columns.get("split", np.zeros(0, "U1")).ravel().tolist()) <= {"train", "test", ""}:
        raise UserError(f"{file}: split: holds other words than train and test")


def _described(file: Path, beside: Path, content: Contents) -> Contents:
    """The same with clips' names and labels, and with what the description says of each where the file does not."""
    description, columns = content.description, dict(content.columns)
    names = columns.get("name")
    if names is None:
        names = np.array([f"{file.stem}_{row:06d}" for row in range(content.clips)])
    labels = None
    if "label" in columns and columns["label"].dtype.kind == "U":
        labels = tuple(columns.pop("label").tolist())
    if description.names or description.labels:
        rows = read_labels(beside, description.labels) if description.labels else None
        texts = [describe_clip(description, rows, name, file, {}) for name in names.tolist()]
        for column in VALUES:
            if column not in columns:
                columns[column] = np.array([check_value(clip.get(column, ""), f"{file}: {column}") for clip in texts])
        if "label" not in content.columns:
            labels = tuple(clip.get("label", "") for clip in texts)
        columns.setdefault("split", np.array([clip.get("split", "") for clip in texts]))
    return replace(content, columns=columns, names=names, labels=labels)
