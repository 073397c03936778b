"""``ssl-skel pretrain`` and ``python -m pretrain``."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from ssl_skel.cli.app import main
from ssl_skel.cli.options import ConfigArgument, JsonOption
from ssl_skel.escaping import say, say_page, show_json


def command(
    config: ConfigArgument,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Such as train.epochs=10; resume=auto continues a stopped run."),
    ] = None,
    print_config: Annotated[bool, typer.Option("--print-config", help="Show the resolved config and stop.")] = False,
    json_: JsonOption = False,
) -> None:
    """Train an encoder without labels."""
    # Imported here so that --help is quick.
    from pretrain.config import PretrainConfig
    from pretrain.verb import pretrain, split_resume
    from ssl_skel.config import dump_config, load_config

    words, resume = split_resume(overrides or [])
    resolved = load_config(PretrainConfig, config, words)
    if print_config:
        say_page(dump_config(resolved))
        return
    run = pretrain(resolved, resume=resume)
    if int(os.environ.get("RANK", 0)):  # one line, however many processes
        return
    if json_:
        show_json({"run": str(run), "encoder": str(run / "encoder")})
    else:
        say(f"written: {run / 'encoder'}")


if __name__ == "__main__":
    main("pretrain")
