"""Clips of raw files, each checked as a conversion checks it."""

from __future__ import annotations

from pathlib import Path

from ssl_skel.data.clip import BadClip, RawClip, check_clip
from ssl_skel.data.sources.open import open_reader
from ssl_skel.data.split_form import check_splits


def read(format: str, source: Path, *options: str, layout: str | None = None) -> list[RawClip]:
    """All clips of a source."""
    reader = open_reader(format, source, layout, options)
    check_splits(reader.splits, format)
    clips = []
    for file in reader.files():
        for clip in reader.read(file):
            if isinstance(clip, BadClip):
                raise clip.error
            check_clip(clip, reader.layout, file)
            clips.append(clip)
    return clips
