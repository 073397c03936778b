"""What readers with a ``recordings.yaml`` share: a folder of files of any names, and what names and tables say."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ssl_skel.config import Section
from ssl_skel.data.readers.base import Reader, odd_even
from ssl_skel.data.readers.description import (
    VALUES,
    Description,
    check_value,
    class_number,
    describe_clip,
    find_description,
    find_layout,
    given_split,
    name_classes,
    number_values,
    read_description,
    read_labels,
    value_names,
)
from ssl_skel.errors import UserError
from ssl_skel.layouts import LayoutLike, SkeletonLayout, load_layout


class DescribedReader(Reader):
    """A folder of recordings, described by ``recordings.yaml`` in it (see ``Description``).

    One file alone is described by the YAML file of its own name beside it, or by ``recordings.yaml`` there. Words on
    the command line (``up=z``) take precedence over both, ``--layout`` over the layout.

    A recording's folder is its class, as in ``wave/clip01.npy``, unless ``names`` or ``labels`` give the classes;
    recordings directly in the source have none. Subjects, cameras and so on that are not all numbers are names,
    numbered from 1 in natural order.

    Splits: the description's, ``given`` from the table's column, ``xsub`` (odd subjects against even).

    Attributes:
        pattern: of the files, below the folder.
        example: of one, for messages.
        suffixes: of the files, which are not part of a recording's name; longer ones first.
    """

    Options = Description
    options: Description
    pattern: ClassVar[str]
    example: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, source: Path, layout: LayoutLike | None = None, options: Section | None = None) -> None:
        self.source = Path(source)
        self._beside = _description_of(self.source)
        self.options = read_description(self.Options, self._beside, options)
        files = self.files()
        self._rows = read_labels(self._beside, self.options.labels) if self.options.labels else None
        self.layout = load_layout(layout) if layout is not None else self._own_layout(files)
        self._survey(files)

    def files(self) -> list[Path]:
        if self.source.is_file():
            return [self.source]
        return self._find(self.pattern, self.example)

    @classmethod
    def told(cls, source: Path, words: Any) -> list[Any]:
        return [read_description(cls.Options, _description_of(source), words)]

    def recorded_options(self) -> dict[str, Any]:
        """The description as it was used, and a hash of its table, so that another table is another conversion."""
        table = hashlib.sha256(json.dumps(self._rows).encode()).hexdigest() if self._rows is not None else ""
        return self.options.model_dump(mode="json") | {"labels_sha256": table}

    def _own_layout(self, files: list[Path]) -> SkeletonLayout:
        """The layout where none is given on the command line."""
        return find_layout(self.options, self._beside, files[0])

    def _keys(self, file: Path) -> Iterator[tuple[str, dict[str, str]]]:
        """Clips of a file: the key by which names and tables know each, and what the file itself says about it, as
        text.
        """
        within = file.relative_to(self.source) if file != self.source else Path(file.name)
        yield without_suffix(within.as_posix(), self.suffixes), {}

    def _texts(self, file: Path, key: str, own: dict[str, str]) -> dict[str, str]:
        """What is known about a clip, as text; see ``describe_clip``."""
        return describe_clip(self.options, self._rows, key, file, own)

    def _columns(self, file: Path, texts: Mapping[str, str]) -> dict[str, Any]:
        """The same as a clip's columns.

        Raises:
            UserError: a value is neither a whole number nor a name, or there is no such class.
        """
        values = {column: check_value(texts.get(column, ""), f"{file}: {column}") for column in VALUES}
        numbers = {column: self._values[column].get(value, -1) for column, value in values.items()}
        return numbers | {"label": class_number(texts.get("label", ""), self._numbers, str(file))}

    def _survey(self, files: list[Path]) -> None:
        """Gather classes, names of subjects and the like, and splits."""
        labels: set[str] = set()
        values: dict[str, set[str]] = {column: set() for column in VALUES}
        sides: list[tuple[str, str]] = []
        for file in files:
            with contextlib.suppress(UserError):  # raised again when it is read
                for key, own in self._keys(file):
                    with contextlib.suppress(UserError):  # of one clip of several
                        texts = self._texts(file, key, own)
                        for column, found in values.items():
                            found.add(check_value(texts.get(column, ""), str(file)))
                        labels.add(texts.get("label", ""))
                        sides.append((texts.get("split", ""), name_of(key)))
        self.class_names = name_classes(labels, self.options.class_names)
        self._numbers = {name: number for number, name in enumerate(self.class_names)}
        self._values = {column: number_values(found) for column, found in values.items()}
        self.value_names = value_names(self._values)
        self.splits: dict[str, dict[str, Any]] = {}
        xsub = odd_even(self._values["subject"].values())
        if xsub["train"]["subject"] and xsub["test"]["subject"]:
            self.splits["xsub"] = xsub
        self.splits |= given_split(sides) | self.options.splits


def _description_of(source: Path) -> Path:
    return find_description(source) if source.is_file() else source / "recordings.yaml"


def without_suffix(name: str, suffixes: Sequence[str]) -> str:
    """A name without the first of some suffixes that it has, whatever its case; other dots are part of a name.

    >>> [without_suffix(name, (".csv.gz", ".csv")) for name in ("v1.2.CSV", "a.csv.gz", "a.b")]
    ['v1.2', 'a', 'a.b']
    """
    found = next((suffix for suffix in suffixes if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(found)]


def name_of(key: str) -> str:
    """A clip's name: the folders and the file in its key."""
    return key.replace("/", "_")
