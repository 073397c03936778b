"""``ssl-skel extract``. Nothing heavy is imported before its arguments are checked."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ssl_skel.cli.options import JsonOption


def extract(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Video files, or folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the landmarks, one file per video.")],
    model: Annotated[
        Path | None,
        typer.Option(help="MediaPipe's model, a .task file; default: from here or ~/.cache/ssl-skel."),
    ] = None,
    people: Annotated[int, typer.Option(min=1, max=10, help="Most people at once.")] = 1,
    overwrite: Annotated[bool, typer.Option(help="Extract again what exists there.")] = False,
    json_: JsonOption = False,
) -> None:
    """Find people in videos with MediaPipe, for ssl-skel convert mediapipe. If stopped, the same command continues.

    Writes 3D world landmarks in metres with the time of each frame, one .jsonl file per video; folders of videos keep
    their structure, so that videos/squat/anna_1.mp4 belongs to the class squat. Needs the extra pose, and a model file.
    MediaPipe prints lines of its own, which can be ignored.
    """
    from ssl_skel.console import show_table
    from ssl_skel.escaping import say, show_json
    from ssl_skel.video.mediapipe import find_model, open_mediapipe
    from ssl_skel.video.poses import extract as run

    found, kept = run(videos, output, partial(open_mediapipe, find_model(model), people), overwrite=overwrite)
    if json_:
        show_json({"written": [one._asdict() | {"file": str(one.file)} for one in found], "kept": list(map(str, kept))})
        return
    header = ("file", "frames", "with people", "most people")
    rows = [[str(one.file), f"{one.frames:,}", f"{one.seen:,}", str(one.people)] for one in found]
    if rows:
        show_table(header, rows, numbers=header[1:])
    if kept:
        say(f"kept: {len(kept)} files that existed; --overwrite extracts them again")
    say(f"next: ssl-skel convert mediapipe {output} stores/mine")
