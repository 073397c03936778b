"""``meta.json`` of a store: what its arrays do not say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ssl_skel.config import parse_config
from ssl_skel.data.conversion import Conversion, joined
from ssl_skel.data.normalize import NormalizeConfig, parse_normalization
from ssl_skel.data.split_form import check_splits
from ssl_skel.errors import UserError
from ssl_skel.files.folders import restore
from ssl_skel.layouts import SkeletonLayout, parse_layout
from ssl_skel.plain_json import parse_json
from ssl_skel.shipped_configs import command_for_store

FORMAT_VERSION = 1
Dtype = Literal["float32", "float16"]
DTYPES: dict[str, str] = {"float32": "<f4", "float16": "<f2"}
_REMEDY = "convert again with --overwrite"


class _Record(BaseModel):
    """A part of the file. Keys that this release does not know are kept and ignored."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, use_attribute_docstrings=True)


class RepairRecord(_Record):
    """The repairs of a conversion: its ``RepairConfig``, and how much was changed."""

    changes: int = 0
    """Number of changes; ``repairs.json`` lists them."""


class Shard(_Record):
    """Which part of a conversion a store is, where several machines shared it; ``merge-shards`` joins them."""

    number: int
    """From 1 on."""
    of: int
    """Number of parts."""
    files: str
    """sha256 of the names and sizes of all files, those of the other parts among them."""


class Provenance(_Record):
    """Where a store comes from. It contains no path of the machine that wrote it."""

    format: str | None = None
    """Entry of ``READERS``, ``synthetic`` or ``merge``."""
    source: str = ""
    """Name of the folder or file that was read."""
    files: int = 0
    """Number of files that were read."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the reader."""
    conversion: Conversion | None = None
    """What holds for other recordings of the format too; None: merged, synthetic, or of the first releases."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Config of a synthetic store."""
    stores: tuple[dict[str, Any], ...] = ()
    """For a merged store: one entry for each of its parts."""
    tool: str = ""
    """Program and version that wrote the store."""
    date: str = ""
    """When, in ISO 8601."""
    dropped: dict[str, int] = Field(default_factory=dict)
    """What was left out of recordings or made up, by kind of ``ssl_skel.data.dropped``."""
    skipped: tuple[dict[str, str], ...] = ()
    """Damaged files and clips that were left out: ``file`` and ``why``."""
    excluded: tuple[str, ...] = ()
    """Names of clips that were left out on request."""
    exclusions_without_a_clip: tuple[str, ...] = ()
    """Names that were to be left out and did not occur."""
    repairs: RepairRecord | None = None
    """What was repaired; None: nothing was to be."""
    shard: Shard | None = None
    """Which part of a conversion this is; None: all of it."""

    @property
    def conversions(self) -> tuple[Conversion, ...]:
        """How recordings became clips, of all parts of a merged store."""
        own = (self.conversion,) if self.conversion else ()
        return joined(own, *(_conversions_of_part(part) for part in self.stores))

    def to_dict(self) -> dict[str, Any]:
        """What was recorded, without defaults, ready for JSON."""
        return self.model_dump(mode="json", exclude_unset=True)


def _conversions_of_part(part: Mapping[str, Any]) -> list[Conversion]:
    """Conversions of one part of a merged store; none if it does not say."""
    provenance = parse_config(Provenance, part.get("provenance", {}), "provenance")
    before = {"normalization": parse_normalization(part.get("normalization", {}), "normalization")}
    return [one if one.normalization else one.model_copy(update=before) for one in provenance.conversions]


class Meta(_Record):
    """The whole file, as it is on disk."""

    layout: dict[str, Any]
    """``SkeletonLayout`` in its YAML form."""
    class_names: tuple[str, ...]
    """One per label."""
    channels: int
    """C, numbers per joint."""
    dtype: Dtype = "float32"
    """Type of the coordinates; stores of the first releases do not say."""
    num_clips: int = 0
    """N."""
    num_rows: int
    """F, rows of ``joints.npy``."""
    value_names: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Column (subject, camera, …) -> name of a value -> its number, for columns whose values have names."""
    splits: dict[str, Any]
    """See ``ssl_skel.data.splits``."""
    normalization: dict[str, Any]
    """See ``ssl_skel.data.normalize.record``."""
    provenance: Provenance
    """Where the clips come from."""
    sha256: str
    """sha256 of ``joints.npy``."""
    format_version: int = FORMAT_VERSION
    """Version of the store's format."""

    def shape(self, layout: SkeletonLayout) -> tuple[tuple[int, int, int], np.dtype]:
        """Shape (F, V, C) and dtype that ``joints.npy`` must have."""
        return (self.num_rows, layout.num_joints, self.channels), np.dtype(DTYPES[self.dtype])


def read_meta(path: Path) -> tuple[Meta, SkeletonLayout, NormalizeConfig | None]:
    """Read the file in a store's folder; also its layout and its normalisation, checked.

    Raises:
        UserError: no store there, another format version, or damage (also a split whose name cannot become a path);
            names file and field.
    """
    file = path / "meta.json"
    restore(path)
    if not file.is_file():
        maker = command_for_store(path) or "ssl-skel convert"
        raise UserError(f"{path}: no store there; make it with {maker}")
    try:
        data = parse_json(file.read_bytes())
        version = data["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: is damaged; {_REMEDY}") from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"{file}: format_version: the store has {version}, this release reads {FORMAT_VERSION}; convert again"
        )
    try:
        meta = parse_config(Meta, data, f"{file}: is damaged")
        check_splits(meta.splits, f"{file}: is damaged")
        normalization = parse_normalization(meta.normalization, f"{file}: is damaged: normalization")
    except UserError as error:
        raise UserError(f"{error}; {_REMEDY}") from error
    return meta, parse_layout(meta.layout, f"{file}: layout"), normalization
