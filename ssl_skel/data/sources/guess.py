"""Which format a path looks like, if another was named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ssl_skel.data.clip import BadClip, check_clip
from ssl_skel.data.readers import READERS
from ssl_skel.errors import UserError


@contextmanager
def guessing(format: str, source: Path, layout: str | None) -> Iterator[None]:
    """Add to an error which formats can read the path, if the named one cannot read a single clip of it.

    Args:
        format: that was named.
        source: a raw file, or a folder of them.
        layout: name or path of a layout, for formats that leave it open.

    Raises:
        UserError: what happened inside.
    """
    try:
        yield
    except UserError as error:
        if format not in READERS or not source.exists() or _reads(format, source, layout):
            raise
        others = [other for other in READERS if other != format and _reads(other, source, layout)]
        if not others:
            raise
        raise UserError(f"{error}; it looks like {' or '.join(others)}") from error


def _reads(format: str, source: Path, layout: str | None) -> bool:
    """Whether a format makes a clip of the first file of a path."""
    reads = False
    for wanted in {layout, None}:  # a format with a layout of its own takes no other
        try:
            reader = READERS[format](source, wanted)
            file = reader.files()[0]
            clip = next(iter(reader.read(file)), BadClip("", UserError("nothing")))
            if not isinstance(clip, BadClip):
                check_clip(clip, reader.layout, file)
                reads = True
        except UserError:
            continue
    return reads
