"""``ssl-skel merge`` and ``merge-shards``. Nothing heavy is imported before a command is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssl_skel.cli.options import JsonOption, OverwriteOption
from ssl_skel.escaping import say, show_json


def merge(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Stores of any layouts.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Store to write.")],
    layout: Annotated[str, typer.Option(help="Layout to map all to: a name or a YAML file.")] = "common15",
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Merge stores of any layouts into one, for pretraining.

    Clips, classes and splits are named after their store. Whatever is changed to make the stores agree is printed and
    recorded in the merged store.
    """
    from ssl_skel.data.convert import describe
    from ssl_skel.data.merge import merge as run

    facts = describe(run(stores, output, layout, overwrite=overwrite, progress=not json_))
    if json_:
        show_json(facts)
        return
    say(f"{facts['store']}: {facts['clips']:,} clips, {facts['frames']:,} frames, {facts['classes']} classes")
    for one in facts["provenance"]["stores"]:
        redone = ", ".join(f"{key} {old} -> {new}" for key, (old, new) in one["redone"].items())
        missing = ", ".join(one["missing"])
        source = f"{one['name']}: {one['clips']:,} clips of {one['layout']}; numbers moved by {one['numbers_moved_by']}"
        say(f"  {source}; redone: {redone or 'nothing'}; missing: {missing or 'nothing'}")
    if len(facts["fps"]) > 1:
        rates = ", ".join(f"{rate} ({clips:,} clips)" for rate, clips in facts["fps"].items())
        say(f"frame rates differ: {rates}; convert with --rate to give all stores one rate")
    say("splits: " + ", ".join(["all", *facts["splits"]]))
    say(f"written: {output}")


def merge_shards(
    shards: Annotated[list[Path], typer.Argument(metavar="SHARD...", help="Stores that convert --shard made.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Store to write.")],
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Join the parts of one conversion to one store. If stopped or killed, the same command continues.

    The parts may come in any order. The store is the one that convert would have made without --shard.
    """
    from ssl_skel.console import show_facts
    from ssl_skel.data.shards import merge_shards as run
    from ssl_skel.data.store import Store

    made = Store.open(run(shards, output, overwrite=overwrite, progress=not json_))
    facts = {"store": str(made.path), "clips": len(made), "frames": int(made.frames.sum()), "parts": len(shards)}
    show_facts(facts, json_)
    if not json_:
        say(f"written: {output}")
