"""The reader of a raw path: of the format that is named, or of the first one that can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ssl_skel.config import config_from_words
from ssl_skel.data.readers import READERS, Reader
from ssl_skel.errors import UserError
from ssl_skel.names import unknown

T = TypeVar("T")


class OtherLayout(UserError):
    """A format reads the path, but its joints are those of another layout than is wanted."""


def open_reader(format: str, source: Path, layout: str | None = None, options: Sequence[str] = ()) -> Reader:
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


def first_that_reads(source: Path, attempt: Callable[[str], T]) -> T:
    """What comes of the first format that reads a path.

    Where none does, the message is that of a format that found another layout, else that of the only format whose
    files have this ending, else it says how to name a format.

    Args:
        source: a raw file, or a folder of them.
        attempt: reads the path by the format of that name, or raises ``UserError``.

    Raises:
        UserError: no format reads it.
    """
    reasons: dict[str, UserError] = {}
    for format in READERS:
        try:
            return attempt(format)
        except UserError as error:
            reasons[format] = error
    own = [reason for format, reason in reasons.items() if source.suffix in READERS[format].endings]
    for told in (*[reason for reason in reasons.values() if isinstance(reason, OtherLayout)], *own[: len(own) == 1]):
        raise told
    known = ", ".join(READERS)
    raise UserError(f"{source}: no format reads it ({known}); name one with --format to see what is wrong")
