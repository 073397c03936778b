"""Arguments and options that several commands share, so that each has one name and one help text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ssl_skel.errors import UserError


def _pooling(text: str | None) -> str | None:
    """Check the value of an option before anything heavy is imported."""
    from ssl_skel.encoders.pooling_config import PoolingConfig  # slow to import

    return None if text is None else str(PoolingConfig.of(text, "--pooling"))


RunArgument = Annotated[
    Path, typer.Argument(help="Run directory, folder of an encoder, or box/NAME (see ssl-skel encoders).")
]
StoreArgument = Annotated[Path, typer.Argument(help="Folder of the store.")]
IndexArgument = Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of the index.")]


def _config_names(incomplete: str) -> list[str]:
    """Names of shipped configs, for tab completion."""
    from ssl_skel.shipped_configs import config_facts

    return [one.name for one in config_facts() if one.name.startswith(incomplete)]


ConfigArgument = Annotated[
    Path, typer.Argument(help="YAML file, or a name that ssl-skel configs lists.", autocompletion=_config_names)
]
BatchSizeOption = Annotated[int, typer.Option(min=1, help="Clips per step.")]
DeviceOption = Annotated[str, typer.Option(help="Device of the encoder: auto, cpu, cuda and the like.")]
PoolingOption = Annotated[
    str | None,
    typer.Option(
        metavar="[mean|body|part|joint][:BINS]",
        callback=_pooling,
        help="How the features of frames and joints become one vector, as in part, or part:4 for four time bins; "
        "default: as the encoder's card says.",
    ),
]
ReadingArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE", help="Options for raw recordings, as in convert; default: those of the conversion."
    ),
]
FormatOption = Annotated[str, typer.Option(help="Raw format; default: the first that reads the file.")]
FpsOption = Annotated[
    float | None,
    typer.Option(min=0.1, help="Frames per second of a page; default: the recorded rate of each clip, or 30."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
OverwriteOption = Annotated[bool, typer.Option(help="Replace what exists there.")]
ShardOption = Annotated[
    str, typer.Option(metavar="I/N", help="Do only this part of N, as in 2/4, so that several machines share the work.")
]
StoresOption = Annotated[
    list[Path] | None, typer.Option("--store", help="Current path of a store of the index. May be repeated.")
]


def parse_shard(text: str) -> tuple[int, int]:
    """The value of ``--shard``.

    >>> parse_shard("2/4")
    (2, 4)

    Raises:
        UserError: it is written otherwise.
    """
    part = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not part:
        raise UserError(f"--shard {text}: must be written i/n, as in 1/4")
    return int(part[1]), int(part[2])
