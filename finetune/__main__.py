"""``ssl-skel finetune`` and ``python -m finetune``."""

from __future__ import annotations

from typing import Annotated

import typer

from ssl_skel.cli.app import main
from ssl_skel.cli.options import ConfigArgument, JsonOption
from ssl_skel.escaping import say, say_page, show_json


def command(
    config: ConfigArgument,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Such as data.batch_size=32.")
    ] = None,
    print_config: Annotated[bool, typer.Option("--print-config", help="Show the resolved config and stop.")] = False,
    json_: JsonOption = False,
) -> None:
    """Evaluate encoders with labels, against raw coordinates and untrained weights."""
    # Imported here so that --help is quick.
    import shlex

    from finetune.config import FinetuneConfig
    from finetune.verb import finetune
    from ssl_skel.config import dump_config, load_config

    words = overrides or []
    resolved = load_config(FinetuneConfig, config, words)
    if print_config:
        say_page(dump_config(resolved))
        return
    report = finetune(resolved, command=shlex.join(["ssl-skel", "finetune", str(config), *words]))
    from accelerate import PartialState  # with torch, which finetune has imported by now

    if not PartialState().is_main_process:  # one table, however many processes
        return
    if json_:
        show_json(report.model_dump(mode="json"))
        return
    report.show()
    if config.suffix and "pooling" not in resolved.model_fields_set:  # a file, perhaps of that release; no name of ours
        say("note: no pooling is given: each encoder's own was used; release 0.1 took the mean", error=True)
    say(f"written: {resolved.runs / resolved.name / 'report.md'}, report.json, answers.npz")


if __name__ == "__main__":
    main("finetune")
