"""What readers share that go by ``recordings.yaml``: a folder of files of any names, and what names and tables tell."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np

from ssl_skel.config import Section, load_config
from ssl_skel.data.readers.base import Reader, odd_even
from ssl_skel.data.readers.description import (
    NUMBERS,
    FilesDescription,
    class_number,
    find_layout,
    name_classes,
    read_labels,
    to_metres,
    whole_number,
)
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout, load_layout


class DescribedReader(Reader):
    """A folder of recordings, described by ``recordings.yaml`` in it (see ``FilesDescription``).

    One file alone is described by the YAML file of its own name beside it, or by ``recordings.yaml`` there. Words on
    the command line (``up=z``) go before both, ``--layout`` before the layout.

    Without ``names`` and ``labels``, the folder that a recording lies in is its class, as in ``wave/clip01.npy``; those
    straight in the source have none.

    Splits: the description's, ``given`` from the table's column, ``xsub`` (odd subjects against even).

    Attributes:
        pattern: of the files, below the folder.
        example: of one, for messages.
    """

    Options = FilesDescription
    options: FilesDescription
    pattern: ClassVar[str]
    example: ClassVar[str]

    def __init__(self, source: Path, layout: str | None = None, options: Section | None = None) -> None:
        self.source = Path(source)
        self._beside = self._find_description()
        words = (options or self.Options()).model_dump(exclude_unset=True)
        told = load_config(self.Options, self._beside) if self._beside.is_file() else self.Options()
        self.options = told.model_copy(update=words)
        files = self.files()
        self._rows = read_labels(self._beside, self.options.labels) if self.options.labels else None
        self.layout = load_layout(layout) if layout is not None else self._own_layout(files)
        self._survey(files)

    def files(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        return self._find(self.pattern, self.example)

    def told_options(self) -> dict[str, Any]:
        """The description as it was used, and a hash of its table, so that another table is another conversion."""
        table = hashlib.sha256(json.dumps(self._rows).encode()).hexdigest() if self._rows is not None else ""
        return self.options.model_dump(mode="json") | {"labels_sha256": table}

    def _own_layout(self, files: list[Path]) -> SkeletonLayout:
        """The layout where none is given on the command line."""
        return find_layout(self.options, self._beside, files[0])

    def _keys(self, file: Path) -> Iterator[tuple[str, dict[str, str]]]:
        """Clips of a file: the key that names and tables know each by, and what the file itself tells of it as text."""
        within = file.relative_to(self.source) if file != self.source else Path(file.name)
        yield within.with_suffix("").as_posix(), {}

    def _told(self, file: Path, key: str, own: dict[str, str]) -> dict[str, str]:
        """What is known of a clip, as text: by its folder, or by its name, then its row, then its file.

        Raises:
            UserError: its name does not match, or it has no row.
        """
        told: dict[str, str] = {}
        if self.options.names:
            match = re.search(self.options.names, key)
            if match is None:
                raise UserError(f"{file}: names: {self.options.names!r} is not in {key!r}; mend one of them")
            told = {column: text for column, text in match.groupdict().items() if text}
        elif self._rows is None:
            told = {"label": PurePosixPath(key).parent.name}
        if self._rows is not None:
            row = self._rows.get(key, self._rows.get(key + file.suffix))
            if row is None:
                raise UserError(f"{file}: {self.options.labels} has no row for {key!r}; add one")
            told |= {column: text for column, text in row.items() if text}
        return told | own

    def _columns(self, file: Path, told: Mapping[str, str]) -> dict[str, int]:
        """The same as a clip's columns.

        Raises:
            UserError: a number is none, or there is no such class.
        """
        numbers = {column: whole_number(told[column], f"{file}: {column}") for column in NUMBERS if column in told}
        return numbers | {"label": class_number(told.get("label", ""), self._numbers, str(file))}

    def _placed(self, file: Path, joints: np.ndarray) -> np.ndarray:
        """Joints (..., C) as described to metres with y up, float32.

        Raises:
            UserError: z is said to be up where there is none.
        """
        if self.options.up == "z" and joints.shape[-1] == 2:
            raise UserError(f"{file}: up: z needs three coordinates; the recording has two")
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is infinite: not tracked
            return to_metres(joints.astype(np.float32), self.options) * np.float32(self.options.scale)

    def _survey(self, files: list[Path]) -> None:
        """Gather classes and splits."""
        labels: set[str] = set()
        subjects: set[int] = set()
        given: dict[str, list[str]] = {"train": [], "test": []}
        for file in files:
            with contextlib.suppress(UserError):  # raised again when it is read
                for key, own in self._keys(file):
                    told = self._told(file, key, own)
                    labels.add(told.get("label", ""))
                    subjects.add(whole_number(told.get("subject", ""), str(file)))
                    given.get(told.get("split", ""), []).append(name_of(key))
        self.class_names = name_classes(labels, self.options.class_names)
        self._numbers = {name: number for number, name in enumerate(self.class_names)}
        self.splits: dict[str, dict[str, Any]] = {}
        xsub = odd_even(subjects)
        if xsub["train"]["subject"] and xsub["test"]["subject"]:
            self.splits["xsub"] = xsub
        if given["train"] or given["test"]:
            self.splits["given"] = {side: {"name": names} for side, names in given.items()}
        self.splits |= self.options.splits

    def _find_description(self) -> Path:
        own = self.source.with_suffix(".yaml")
        if self.source.is_file() and own.is_file():
            return own
        return (self.source if self.source.is_dir() else self.source.parent) / "recordings.yaml"


def name_of(key: str) -> str:
    """A clip's name: the folders and the file that its key tells of."""
    return key.replace("/", "_")
