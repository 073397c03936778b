"""``ssl-skel import-weights``. Nothing heavy is imported before the command is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ssl_skel.cli.options import JsonOption
from ssl_skel.escaping import say


def import_weights(
    format_: Annotated[
        Literal["mamp", "stars", "st_gcn", "ctr_gcn", "infogcn", "sttformer", "slim"],
        typer.Argument(
            metavar="FORMAT", help="mamp, stars, st_gcn (CrosSCLR, AimCLR), ctr_gcn, infogcn, sttformer, slim."
        ),
    ],
    file: Annotated[Path, typer.Argument(help="File of weights that a paper's authors released.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write the encoder to.")],
    layout: Annotated[str, typer.Option(help="Joints that it was trained on: a layout or a YAML file.")] = "ntu25",
    stream: Annotated[str, typer.Option(help="Stream that it was trained on.")] = "joint",
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of a clip; default: the release's.")] = None,
    json_: JsonOption = False,
) -> None:
    """Write weights that others released as an encoder that every command reads.

    Nothing in the file is run. Names are mapped one to one, and a file in which any is missing or left over is refused.
    """
    from ssl_skel.console import show_facts
    from ssl_skel.released.importing import import_weights as run

    show_facts(run(format_, file, output, layout=layout, stream=stream, frames=frames), json_)
    if not json_:
        say(f"written: {output}")
