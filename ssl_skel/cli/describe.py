"""``ssl-skel describe``. Nothing heavy is imported before the command is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssl_skel.cli.options import JsonOption, OverwriteOption


def describe(
    source: Annotated[Path, typer.Argument(help="Folder of recordings, or one file of them.")],
    format: Annotated[str, typer.Option(help="Raw format; default: by the endings of the files.")] = "",
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Write a first recordings.yaml for your own recordings: layout, unit, upward axis, names, classes.

    Guesses are marked; check them, then run the command in the file's second line. A single file gets a YAML file
    of its own name beside it.
    """
    from ssl_skel.data.describing.draft import draft
    from ssl_skel.escaping import say, show_json
    from ssl_skel.files.atomic import write_text
    from ssl_skel.files.taken import refuse_taken_file

    file = source.with_suffix(".yaml") if source.is_file() else source / "recordings.yaml"
    refuse_taken_file(file, overwrite, [source] if source.is_file() else [])
    text = draft(source, format).text(source)
    write_text(file, text, make_folder=False)
    if json_:
        show_json({"written": str(file), "text": text})
        return
    say(f"written: {file}")
    for line in text.splitlines():
        say(f"  {line}")
