"""What readers of a user's own recordings share: class folders, names that tell more, and persons followed by place."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from ssl_skel.config import Section
from ssl_skel.data.readers.base import Reader, odd_even
from ssl_skel.errors import UserError

_COLUMNS = ("subject", "camera", "setup", "replication")


class FolderOptions(Section):
    """What can be chosen of recordings in class folders."""

    names: str = ""
    """A regular expression that is searched in each recording's name; its groups named subject, camera, setup and
    replication give these numbers, as in 's(?P<subject>[0-9]+)'."""

    min_score: float = Field(default=0.0, ge=0.0, le=1.0)
    """A joint whose score (visibility, confidence) is lower counts as not tracked."""

    persons: int = Field(default=2, ge=1)
    """How many persons of a recording are kept: those seen in most frames."""

    @field_validator("names")
    @classmethod
    def _check_names(cls, names: str) -> str:
        try:
            groups = re.compile(names).groupindex
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        if set(groups) - set(_COLUMNS):
            raise ValueError(f"has groups other than {', '.join(_COLUMNS)}")
        return names


class PlaneOptions(FolderOptions):
    """The same for 2D."""

    score: Literal["drop", "keep"] = "drop"
    """keep: a joint's score is its third channel, 0 where it was not tracked."""


class FolderReader(Reader):
    """Recordings in a folder: in folders named after their classes, or straight in it, then without labels.

    Split: ``xsub`` (odd subjects against even), where names tell subjects.
    """

    Options = FolderOptions

    def __init__(self, source: Path, layout: str | None = None, options: Section | None = None) -> None:
        super().__init__(source, layout, options)
        found = self.files()
        classes = {self._class(file) for file in found} - {""}
        self.class_names = tuple(sorted(classes))
        subjects = odd_even(self._columns(file).get("subject", -1) for file in found)
        known = subjects["train"]["subject"] and subjects["test"]["subject"]
        self.splits: dict[str, dict[str, Any]] = {"xsub": subjects} if known else {}

    def _class(self, file: Path) -> str:
        """Name of the folder that a recording lies in, below the source."""
        return file.parent.name if file != self.source and file.parent != self.source else ""

    def _columns(self, file: Path) -> dict[str, int]:
        """What the place and name of a recording tell."""
        label = self._class(file)
        told = {"label": self.class_names.index(label)} if label in getattr(self, "class_names", ()) else {}
        match = re.search(self.options.names, file.stem) if self.options.names else None
        for column, text in (match.groupdict() if match else {}).items():
            if text is not None and text.isdigit() and len(text) < 10:
                told[column] = int(text)
        return told

    def _name(self, file: Path) -> str:
        """Class and name, unique in the data set."""
        return "_".join([self._class(file), file.stem] if self._class(file) else [file.stem])


def read_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        UserError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(file.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: is damaged: no JSON; write it again") from error


def follow(frames: Sequence[np.ndarray], most: int, coordinates: int | None = None) -> np.ndarray:
    """Persons found frame by frame, told apart by place.

    In each frame the nearest pair of a known person (where last seen) and a found one is matched first; whoever is left
    over is a new person. Paper silent: estimators that give no identities leave this to their users.

    Args:
        frames: at least one; for each (P, V, C), P persons in no order, NaN where a joint was not found.
        most: how many persons to keep, those seen in most frames; among equals the earlier.
        coordinates: channels that tell a place; default: all.

    Returns:
        (M, T, V, C) float32, M at most ``most`` and at least 1, NaN where not seen.
    """
    tracks: list[dict[int, np.ndarray]] = []
    last: list[np.ndarray] = []
    for t, found in enumerate(frames):
        seen = [person for person in found if np.isfinite(person).all(-1).any()]
        far = np.array(
            [[_distance(person[:, :coordinates], place[:, :coordinates]) for place in last] for person in seen]
        )
        far = far.reshape(len(seen), len(last))
        left = set(range(len(seen)))
        while left and np.isfinite(far).any():
            who, track = divmod(int(far.argmin()), len(last))
            tracks[track][t] = last[track] = seen[who]
            left.remove(who)
            far[who], far[:, track] = np.inf, np.inf
        for who in sorted(left):
            tracks.append({t: seen[who]})
            last.append(seen[who])
    kept = sorted(sorted(range(len(tracks)), key=lambda track: (-len(tracks[track]), track))[:most])
    joined = np.full((max(len(kept), 1), len(frames), *frames[0].shape[1:]), np.nan, np.float32)
    for person, track in enumerate(kept):
        for t, joints in tracks[track].items():
            joined[person, t] = joints
    return joined


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance of the joints that both have; far, but not infinitely so, where they have none in common."""
    both = np.isfinite(one).all(-1) & np.isfinite(other).all(-1)
    return float(np.linalg.norm(one[both] - other[both], axis=-1).mean()) if both.any() else 1e30
