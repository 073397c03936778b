"""Single recordings, straight from a raw file: what one asks an encoder about without converting a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ssl_skel.config import config_from_words
from ssl_skel.data.clip import RawClip, check_clip, content_hash
from ssl_skel.data.meta import Provenance
from ssl_skel.data.normalize import NormalizeConfig, normalize, require_normalization
from ssl_skel.data.readers import READERS
from ssl_skel.data.store import COLUMNS, Store
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.names import unknown


def read_recordings(
    source: Path | str, layout: SkeletonLayout, normalization: NormalizeConfig | None, format: str = ""
) -> Store:
    """Clips of a raw file, a folder of them, or a store, as an encoder wants them.

    Args:
        source: what to read.
        layout: joints of the encoder.
        normalization: of its training clips, as its card records it.
        format: a row of ``READERS``; default: the first that reads the file as this layout.

    Returns:
        A store; raw files' clips lie in memory only, with subjects, cameras and labels (no class names) where known.

    Raises:
        UserError: nothing there, an unknown format, a damaged file, another layout, or a store normalised otherwise.
    """
    source = Path(source)
    if not source.exists():
        raise UserError(f"{source}: is not there; give a raw file, a folder of them, or a store")
    if (source / "meta.json").is_file():
        return _fitting(Store.open(source), layout, normalization)
    if format and format not in READERS:
        raise unknown("format", format, READERS)
    how = require_normalization(normalization, str(source))
    raw = list(_read(source, format, layout)) if format else _first_that_reads(source, layout)
    clips, filled = [], 0
    for clip in raw:
        try:
            joints, gaps = normalize(clip.joints, layout, how)
            clips.append(joints)
            filled += gaps
        except UserError as error:
            raise UserError(f"{source}: clip {clip.name}: {error}") from error
    columns = {field: [getattr(clip, field) for clip in raw] for field in COLUMNS if hasattr(RawClip, field)}
    content = [content_hash(clip.joints) for clip in raw]
    store = store_of(clips, layout, names=[clip.name for clip in raw], content=content, **columns)
    return replace(store, path=source, normalization=how, filled=filled)


def store_of(
    clips: Sequence[np.ndarray],
    layout: SkeletonLayout,
    names: Sequence[str] | None = None,
    content: Sequence[int] | None = None,
    **columns: Sequence[int],
) -> Store:
    """Normalised clips as a store that lies in no folder, so that they take the same way as stored ones.

    Args:
        clips: at least one, (M, T, V, C) each, nothing missing.
        layout: their joints.
        names: default: their numbers.
        content: ``content_hash`` of each recording before normalisation; default: 0, unknown.
        columns: such as ``subject``; default -1, unknown.
    """
    frames = np.array([clip.shape[1] for clip in clips])
    persons = np.array([len(clip) for clip in clips])
    numbers = {name: np.asarray(columns.get(name, np.full(len(clips), -1)), np.int64) for name in COLUMNS}
    numbers |= {"offset": np.cumsum(frames * persons) - frames * persons, "frames": frames, "persons": persons}
    joints = np.concatenate([np.asarray(clip, np.float32).reshape(-1, *clip.shape[2:]) for clip in clips])
    return Store(
        path=Path("recordings"),
        layout=layout,
        class_names=(),
        splits={},
        normalization=None,
        filled=0,
        provenance=Provenance(),
        sha256="",
        joints=joints,
        name=np.array(names if names is not None else range(len(clips))).astype(np.str_),
        content=np.array(content if content is not None else [0] * len(clips), np.uint64),
        **numbers,
    )


def _fitting(store: Store, layout: SkeletonLayout, normalization: NormalizeConfig | None) -> Store:
    if store.layout != layout:
        raise UserError(f"{store.path}: layout: has {store.layout.name}, the encoder takes {layout.name}")
    own = require_normalization(store.normalization, str(store.path))
    want = require_normalization(normalization, f"{store.path}: the encoder's card")
    if own != want:
        raise UserError(
            f"{store.path}: normalization: is {own}, the encoder's clips had {want}; convert with the same options"
        )
    return store


def _read(source: Path, format: str, layout: SkeletonLayout) -> Iterator[RawClip]:
    """Clips as recorded, of one format."""
    kind = READERS[format]
    words = ["score=keep"] if layout.score and "score" in kind.Options.model_fields else []
    reader = kind(source, None, config_from_words(kind.Options, words, format))
    found = False
    for file in [source] if source.is_file() else reader.files():
        for clip in reader.read(file):
            if reader.layout != layout:
                raise UserError(f"{file}: layout: has {reader.layout.name}, the encoder takes {layout.name}")
            check_clip(clip, layout, file)
            found = True
            yield clip
    if not found:
        raise UserError(f"{source}: holds no clips")


def _first_that_reads(source: Path, layout: SkeletonLayout) -> list[RawClip]:
    reasons = {}
    for format in READERS:
        try:
            return list(_read(source, format, layout))
        except UserError as error:
            reasons[format] = str(error)
    near = [why for why in reasons.values() if "layout: has" in why]
    if near:
        raise UserError(near[0])
    raise UserError(f"{source}: no format reads it ({', '.join(READERS)}); name one with --format to see what is amiss")
