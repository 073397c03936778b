"""The reader of a raw path: of the format that is named, or of the first one that can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ssl_skel.config import config_from_words, parse_config
from ssl_skel.data.conversion import Conversion, Unfit
from ssl_skel.data.readers import READERS, Reader
from ssl_skel.data.readers.base import NotThere
from ssl_skel.errors import UserError
from ssl_skel.layouts import LayoutLike, parse_layout
from ssl_skel.names import unknown

T = TypeVar("T")


def open_reader(format: str, source: Path, layout: LayoutLike | None = None, options: Sequence[str] = ()) -> Reader:
    """The reader of a format.

    Args:
        format: entry of ``READERS``.
        source: a raw file, or a folder of them.
        layout: name or path of a layout, for formats that leave it open.
        options: ``key=value`` words for the reader's ``Options``.

    Raises:
        UserError: no such format or option, or what the reader finds wrong at once.
    """
    if format not in READERS:
        raise unknown("format", format, READERS)
    kind = READERS[format]
    return kind(Path(source), layout, config_from_words(kind.Options, options, format))


def open_alike(source: Path, conversion: Conversion, options: Sequence[str]) -> Reader:
    """The reader of a format, with the options used for other recordings.

    Args:
        source: a raw file, or a folder of them.
        conversion: of those.
        options: ``key=value`` words, which take precedence.

    Raises:
        UserError: as ``open_reader``.
        Unfit: a description beside the source says something else, and no option decides.
    """
    format, kind = conversion.format, READERS[conversion.format]
    given = config_from_words(kind.Options, options, format)
    kept = parse_config(kind.Options, conversion.options, f"{format}: options that are recorded", written=True)
    for found in kind.told(source, given):
        for name, value in found.lasting().items():
            before = conversion.options.get(name, value)
            if value != before and name not in given.model_fields_set:
                raise Unfit(f"{source}: {name}: is {value} here, and was {before} at conversion; give {name}=...")
    layout = None if conversion.layout is None else parse_layout(conversion.layout, f"{format}: layout")
    return kind(source, layout, kept.model_copy(update=given.model_dump(exclude_unset=True)))


def first_that_reads(source: Path, attempt: Callable[[str], T], likely: Sequence[str] = ()) -> T:
    """The result of the first format that reads a path.

    If none does, the message is the first of: that of a format that finds the path unfit; in a folder, that of a likely
    format with recordings there; that of the only format whose files have this ending; that of a likely format; else
    one that says what each format with recordings there finds wrong.

    Args:
        source: a raw file, or a folder of them.
        attempt: reads the path by the format of that name, or raises ``UserError``.
        likely: formats that are tried first.

    Raises:
        UserError: no format reads it.
    """
    reasons: dict[str, UserError] = {}
    for format in dict.fromkeys((*likely, *READERS)):
        try:
            return attempt(format)
        except UserError as error:
            reasons[format] = error
    unfit = [reason for reason in reasons.values() if isinstance(reason, Unfit)]
    there = {format: reason for format, reason in reasons.items() if not isinstance(reason, NotThere)}
    if not source.is_dir():
        there = {format: reason for format, reason in there.items() if source.suffix in READERS[format].endings}
    alike = [there[format] for format in likely if format in there]
    only = list(there.values()) if source.is_file() and len(there) == 1 else []
    rest = [reasons[format] for format in likely if source.is_file()]
    for unread in (*unfit, *alike, *only, *rest):
        raise unread
    if source.is_dir() and next(source.iterdir(), None) is None:
        raise UserError(f"{source}: is an empty folder, and holds no recordings")
    by_reason: dict[str, list[str]] = {}
    for format, reason in there.items():
        by_reason.setdefault(str(reason).removeprefix(f"{source}: "), []).append(format)
    wrong = "".join(f"; {', '.join(formats)}: {reason}" for reason, formats in by_reason.items())
    known = wrong or f" ({', '.join(READERS)}); name one with --format to see what is wrong"
    raise UserError(f"{source}: no format reads it{known}")
