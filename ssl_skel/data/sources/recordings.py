"""Clips in memory, straight from a raw file, a folder of them, or a store: no conversion is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ssl_skel.data.adapted import COMMON, adapted, needs_adapting
from ssl_skel.data.clip import RawClip
from ssl_skel.data.clip_columns import COLUMNS
from ssl_skel.data.conversion import Conversion, Unfit, conversion_of
from ssl_skel.data.meta import Provenance
from ssl_skel.data.normalize import NormalizeConfig, alike, require_normalization
from ssl_skel.data.readers import READERS
from ssl_skel.data.sources.open import first_that_reads, open_alike, open_reader
from ssl_skel.data.sources.reading import Done, Ready, Work, read_files
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.files.taken import is_index
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.names import unknown


def read_recordings(
    source: Store | Path | str,
    layout: SkeletonLayout,
    normalization: NormalizeConfig | None,
    format: str = "",
    *,
    options: Sequence[str] = (),
    conversions: Sequence[Conversion] = (),
    skip_bad: bool = False,
) -> Store:
    """Clips of a path as an encoder needs them; those of other layouts are mapped if it is for merged corpora.

    Raw recordings are converted as its training clips were.

    Args:
        source: a raw file, a folder of them, or a store, which may be open.
        layout: joints of the encoder.
        normalization: of its training clips, as its card records it.
        format: as in ``open_clips``; formats of the conversions are tried first.
        options: ``key=value`` words for the reader's ``Options``, which take precedence over the conversions.
        conversions: of the training clips, as the card records them.
        skip_bad: leave damaged files and clips of raw recordings out; the store's provenance lists them.

    Raises:
        UserError: as ``open_clips``; another layout, a store normalised differently, options for a store, or a
            description beside the recordings that contradicts their conversion.
    """
    if isinstance(source, Store) or is_store(Path(source)):
        _refuse_options(options)
        store = source if isinstance(source, Store) else Store.open(source)
        want = require_normalization(normalization, f"{store.path}: the encoder's card")
        own = require_normalization(store.normalization, str(store.path))
        if needs_adapting(store, layout, want):
            return adapted(store, layout, want)
        if store.layout != layout:
            raise _other_layout(store.path, store.layout, layout)
        if not alike(own, want, store.max_persons):
            raise UserError(
                f"{store.path}: normalization: is {own}, the encoder's clips had {want}; convert with the same options"
            )
        return store
    how = require_normalization(normalization, str(source))
    read = partial(_read_alike, Path(source), layout, how, options, conversions, skip_bad)
    return _by_format(Path(source), format, read, [one.format for one in conversions])


def open_clips(
    source: Path | str,
    *,
    format: str = "",
    layout: str | None = None,
    options: Sequence[str] = (),
    normalize: NormalizeConfig | None = None,
) -> Store:
    """Clips of any path.

    Args:
        source: a store, a raw file, or a folder of raw files.
        format: entry of ``READERS``; default: the first that reads the path.
        layout: name or path of a layout, for formats that leave it open.
        options: ``key=value`` words for the reader's ``Options``.
        normalize: what is done to raw clips; default: what ``ssl-skel convert`` does by default.

    Returns:
        The store; of raw files, their clips in memory, with class names, splits and columns as far as they are known.

    Raises:
        UserError: nothing is there, no format reads it, an unknown format or option, or a damaged file.
    """
    source, how = Path(source), normalize or NormalizeConfig()
    if is_store(source):
        _refuse_options(options)
        return Store.open(source)
    return _by_format(source, format, lambda name: _read(Work(open_reader(name, source, layout, options), how), name))


def _by_format(source: Path, format: str, read: Callable[[str], Store], likely: Sequence[str] = ()) -> Store:
    """Clips of a raw path, by a format or the first that reads it."""
    refuse_missing(source)
    if format and format not in READERS:
        raise unknown("format", format, READERS)
    return read(format) if format else first_that_reads(source, read, likely)


def _refuse_options(options: Sequence[str]) -> None:
    if options:
        raise UserError(f"{options[0]}: options are for raw recordings, and this is a store; leave them out")


def refuse_missing(source: Path) -> None:
    """Refuse a path where no clips can be.

    Raises:
        UserError: it does not exist, or is an index.
    """
    if not source.exists():
        raise UserError(f"{source}: does not exist; give a raw file, a folder of them, or a store")
    if is_index(source):
        raise UserError(f"{source}: is an index; give a raw file, a folder of them, or a store")


def is_store(path: Path) -> bool:
    """Whether a path is the folder of a store."""
    return (path / "meta.json").is_file() and not is_index(path)


def store_of(
    clips: Sequence[np.ndarray],
    layout: SkeletonLayout,
    names: Sequence[str] | None = None,
    content: Sequence[int] | None = None,
    fps: Sequence[float] | None = None,
    **columns: Sequence[int],
) -> Store:
    """Normalised clips as a store without a folder, so that they are treated like stored ones.

    Args:
        clips: at least one, (M, T, V, C) each, nothing missing.
        layout: their joints.
        names: default: their numbers.
        content: ``content_hash`` of each recording before normalisation; default: 0, unknown.
        fps: frames a second of each; default: 0, unknown.
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
        fps=np.array(fps if fps is not None else [0.0] * len(clips), np.float64),
        name=np.array(names if names is not None else range(len(clips))).astype(np.str_),
        content=np.array(content if content is not None else [0] * len(clips), np.uint64),
        value_names={},
        **numbers,
    )


def _read_alike(
    source: Path,
    wanted: SkeletonLayout,
    normalize: NormalizeConfig,
    options: Sequence[str],
    conversions: Sequence[Conversion],
    skip_bad: bool,
    format: str,
) -> Store:
    """Clips of a raw path by one format, converted as others were, with the wanted joints."""
    conversion = conversion_of(format, conversions, [word.partition("=")[0] for word in options])
    if wanted.score and "score" in READERS[format].Options.model_fields:
        options = ["score=keep", *options]
    reader = open_alike(source, conversion, options)
    before = conversion.normalization
    if before is None and wanted.name == COMMON and reader.layout != wanted:
        before = normalize.model_copy(
            update={"orient": False, "align": False, "scale": False}
        )  # all are for the new joints
    work = Work(reader, before or normalize, skip_bad, repairs=conversion.repairs, rate=conversion.rate)
    store = _read(work, format)
    if before:
        return adapted(store, wanted, normalize)
    if reader.layout != wanted:
        raise _other_layout(source, reader.layout, wanted)
    return store


def _read(work: Work, format: str) -> Store:
    """Clips of a raw path by one reader."""
    reader, source = work.reader, work.reader.source
    files = [source] if source.is_file() else reader.files()
    found = list(read_files(work, files, jobs=1))
    ready = [item for item in found if isinstance(item, Ready)]
    skipped = tuple(bad for item in found if isinstance(item, Done) for bad in item.skipped)
    if not ready:
        raise UserError(f"{source}: holds no clips" + (f" besides {len(skipped)} damaged" if skipped else ""))
    clips = [item.clip for item in ready]
    columns = {field: [getattr(clip, field) for clip in clips] for field in COLUMNS if hasattr(RawClip, field)}
    names, content = [clip.name for clip in clips], [item.content for item in ready]
    fps = [clip.fps for clip in clips]
    return replace(
        store_of([clip.joints for clip in clips], reader.layout, names=names, content=content, fps=fps, **columns),
        path=source,
        class_names=reader.class_names,
        splits=reader.splits,
        value_names=reader.value_names,
        normalization=work.normalize,
        filled=sum(item.filled for item in ready),
        provenance=Provenance(format=format, source=source.resolve().name, files=len(files), skipped=skipped),
    )


def _other_layout(source: Path, own: SkeletonLayout, wanted: SkeletonLayout) -> Unfit:
    return Unfit(f"{source}: layout: has {own.name}, the encoder takes {wanted.name}")
