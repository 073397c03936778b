"""``ssl-skel pretrain`` and ``python -m pretrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssl_skel.cli.app import main
from ssl_skel.escaping import say_page


def command(
    config: Annotated[Path, typer.Argument(help="YAML file, or a name that ssl-skel configs lists.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Such as train.epochs=10; resume=auto continues a stopped run."),
    ] = None,
    print_config: Annotated[bool, typer.Option("--print-config", help="Show the resolved config and stop.")] = False,
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
    else:
        pretrain(resolved, resume=resume)


if __name__ == "__main__":
    main("pretrain")
