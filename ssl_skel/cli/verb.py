"""What commands share: a panel in the overview, ``--quiet``, ``--slurm``, and hints for words of another style."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter
from typing import Annotated, Any

import typer

from ssl_skel.cli.slurm import COMMANDS, submit, words_of_job

PANELS = {
    "Data": ("extract", "describe", "convert", "synthetic", "merge-shards", "info", "split", "audit", "merge"),
    "Train": ("configs", "pretrain", "sweep", "backbones", "layouts", "schema"),
    "Evaluate": ("finetune", "fuse", "report", "train-classifier", "predict"),
    "Search": ("index", "merge-index", "search", "evaluate-retrieval"),
    "See": ("runs", "view"),
    "Share": ("encoders", "embed", "export", "import-weights"),
}
"""Panel of the overview -> its commands, in the order of a project."""
OTHERS = "Others"
"""Panel of commands that other packages bring."""
_QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show no progress, only results, warnings and errors.")
]
_SlurmOption = Annotated[
    str,
    typer.Option(
        "--slurm",
        metavar="KEY=VALUE,...",
        help="Run as a job of Slurm: partition, gpus, cpus, mem, time, account, qos, constraint, folder of its output; "
        "cluster=local runs it here; shards=8 makes an array of 8 parts. It is queued again when its time is over, and "
        "continues.",
    ),
]
_CONFIG_KEY = re.compile(r"--([a-z][\w-]*(?:\.[\w-]+)+)(?:=(.*))?")


def panel_of(name: str) -> str:
    """The panel of a command."""
    return next((panel for panel, names in PANELS.items() if name in names), OTHERS)


def overview(names: Sequence[str]) -> list[str]:
    """Names of commands in the order in which the overview shows them."""
    order = [name for panel in PANELS.values() for name in panel]
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def hint(words: Sequence[str]) -> str:
    """What to write instead of ``--train.epochs 3``; "" where no word looks like that.

    >>> hint(["pretrain", "demo/pretrain", "--train.epochs", "3"])
    'keys of a config are written without dashes: train.epochs=3'
    """
    for at, word in enumerate(words):
        if found := _CONFIG_KEY.fullmatch(word):
            value = found[2] if found[2] is not None else next(iter(words[at + 1 :]), "VALUE")
            return f"keys of a config are written without dashes: {found[1]}={value}"
    return ""


def with_common_options(name: str, command: Callable[..., None]) -> Callable[..., None]:
    """The command with ``--quiet``, which hides all progress, and, where it may be a cluster's job, ``--slurm``."""
    signature = inspect.signature(command, eval_str=True)
    parameters = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in signature.parameters.values()]
    parameters.append(Parameter("quiet", Parameter.KEYWORD_ONLY, default=False, annotation=_QuietOption))
    if name in COMMANDS:
        parameters.append(Parameter("slurm", Parameter.KEYWORD_ONLY, default="", annotation=_SlurmOption))

    @wraps(command)
    def call(quiet: bool, slurm: str = "", **options: Any) -> None:
        if quiet:
            from ssl_skel.progress import QUIET  # slow to import

            os.environ[QUIET] = "1"
        if slurm:
            submit(words_of_job(name, sys.argv[1:]), slurm)
            return
        command(**options)

    del call.__wrapped__  # typer would look at its signature instead
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return call
