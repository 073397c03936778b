"""The contract of a reader: one raw format in, clips in metres with y up out."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import Field

from ssl_skel.config import Section
from ssl_skel.data.clip import BadClip, RawClip
from ssl_skel.errors import UserError
from ssl_skel.layouts import LayoutLike, SkeletonLayout

_OF_STORE = ("meta.json", "clips.npz")  # what every store has


class NotThere(UserError):
    """The source holds no recordings of the format, sound or damaged."""


class ReaderOptions(Section):
    """Options of every format."""

    fps: float = Field(default=0.0, ge=0.0, le=100_000.0, allow_inf_nan=False)
    """Frames a second of the recordings; 0: as the files say, or the data set's published rate."""

    of_source: ClassVar[frozenset[str]] = frozenset()
    """Options that describe the clips of one source, and do not hold for other recordings."""

    def lasting(self) -> dict[str, Any]:
        """Given options that hold for other recordings of the format too, ready for JSON."""
        return self.model_dump(mode="json", include=self.model_fields_set - self.of_source)


class Reader(ABC):
    """Reads one raw format from a folder (or a file).

    Attributes:
        layout: joints of all clips.
        class_names: one per label.
        value_names: column (subject, camera, …) -> name of a value -> its number, where values have names.
        splits: ways to divide the clips into train and test, in the form of ``ssl_skel.data.splits``.
        Options: what else can be chosen; the fields are documented above the reader.
        ordered: its clips have the person who moves most first, as in ``NormalizeConfig.order_persons``.
        archive: one file holds a whole data set, so that files are not fair shares of the work.
        fps: frames a second of all its recordings, as published; 0 where the files say it, or it is unknown.
        endings: of the names of its files, where few other data have them.

    Args:
        source: where the recordings are.
        layout: name or path of a layout, for formats that leave it open.
        options: of the type ``Options``; default: its defaults.

    Raises:
        UserError: the format has a layout of its own and another is requested.
    """

    layout: SkeletonLayout
    class_names: tuple[str, ...]
    splits: dict[str, dict[str, Any]]
    Options: ClassVar[type[ReaderOptions]] = ReaderOptions
    value_names: Mapping[str, Mapping[str, int]] = MappingProxyType({})
    ordered: bool = False
    fps: ClassVar[float] = 0.0
    archive: ClassVar[bool] = False
    endings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        self.source = Path(source)
        self.options: Any = options or self.Options()
        self._refuse_layout(layout)

    @abstractmethod
    def files(self) -> list[Path]:
        """Files to read, in natural order.

        Raises:
            UserError: there are none; names what was looked for.
        """

    @abstractmethod
    def read(self, file: Path) -> Iterator[RawClip | BadClip]:
        """Clips of one file; if it holds several, a damaged one is a ``BadClip``, and the next one follows.

        Raises:
            UserError: the file is damaged, and nothing more can be read; names it and what is wrong.
        """

    @classmethod
    def told(cls, source: Path, words: Any) -> list[Any]:
        """Options of a source, from words of the type ``Options`` and from files beside it, one per description."""
        return [words]

    def recorded_options(self) -> dict[str, Any]:
        """Options as a store records them: ready for JSON, without paths of this machine."""
        return self.options.model_dump(mode="json")

    def _refuse_layout(self, layout: LayoutLike | None) -> None:
        """For a format with a layout of its own."""
        if layout is not None:
            raise UserError(f"layout {layout!r}: this format has its own ({self.layout.name}); leave the option out")

    def _find(self, pattern: str, example: str) -> list[Path]:
        """Files below the source that match a glob pattern; hidden ones and those of stores are not recordings."""
        if not self.source.is_dir():
            fault = "is not a folder" if self.source.exists() else "does not exist"
            raise NotThere(f"{self.source}: {fault}; give the folder that holds the recordings ({example})")
        found = sorted(self.source.glob(pattern), key=natural)
        below = {folder for file in found for folder in file.relative_to(self.source).parents if folder.parts}
        stores = {folder for folder in below if all((self.source / folder / name).is_file() for name in _OF_STORE)}
        files = [
            file
            for file in found
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(self.source).parts)
            and stores.isdisjoint(file.relative_to(self.source).parents)
        ]
        if not files:
            raise NotThere(f"{self.source}: holds no {pattern}; give the folder that holds the recordings ({example})")
        return files


def natural(path: PurePath) -> tuple[list[int | str], str]:
    """What files are ordered by: numbers in their names count as numbers, so that frame 2 comes before frame 10.

    >>> sorted(map(Path, ["f10.json", "f2.json", "e3.json"]), key=natural)[1:]
    [PosixPath('f2.json'), PosixPath('f10.json')]
    """
    parts = re.split("([0-9]+)", path.as_posix())  # text and numbers in turn, so that like meets like
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], path.as_posix()


def match_name(name: str, pattern: re.Pattern[str], file: Path, example: str) -> list[int]:
    """Numbers in a file's name.

    Raises:
        UserError: the name does not match.
    """
    match = pattern.fullmatch(name)
    if not match:
        raise UserError(f"{file}: the name has no action and subject; expected one like {example}")
    return [int(number) for number in match.groups()]


def odd_even(subjects: Iterable[int]) -> dict[str, dict[str, list[int]]]:
    """Cross-subject split: odd subjects train, even ones test."""
    known = sorted({int(subject) for subject in subjects if subject >= 0})
    return {
        "train": {"subject": [subject for subject in known if subject % 2]},
        "test": {"subject": [subject for subject in known if not subject % 2]},
    }
