"""``ssl-skel convert``, ``info``, ``split`` and ``motions``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ssl_skel.cli.app import JsonOption, StoreArgument, show
from ssl_skel.errors import UserError

Number = TypeVar("Number", int, float)


def convert(
    format: Annotated[str, typer.Argument(help="Raw format; one that is none lists them all.")],
    source: Annotated[Path, typer.Argument(help="Folder or file of raw recordings.")],
    store: StoreArgument,
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="The format's own, such as min_score=0.3.")
    ] = None,
    centre: Annotated[str, typer.Option(help="Centre on the first frame's centre joint, on each frame's, or not.")] = (
        "first"
    ),
    orient: Annotated[
        bool, typer.Option(help="Turn each clip so that the body faces the camera at its start.")
    ] = False,
    scale: Annotated[bool, typer.Option(help="Divide by the mean bone length.")] = False,
    layout: Annotated[str | None, typer.Option(help="Joint layout, where the format leaves it open.")] = None,
    score: Annotated[str | None, typer.Option(help="2D: keep each joint's score as third channel, or drop it.")] = None,
    dtype: Annotated[str, typer.Option(help="float32, or float16: half the space, 1 mm at 2 to 4 m.")] = "float32",
    exclude: Annotated[Path | None, typer.Option(help="List of clips to leave out, such as an audit's.")] = None,
    repair: Annotated[str, typer.Option(help="Mend and record, with commas: tracks, jumps, gaps.")] = "",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes that read files.")] = 1,
    skip_bad: Annotated[bool, typer.Option(help="Leave damaged files out, name and count them.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing store.")] = False,
    json_: JsonOption = False,
) -> None:
    """Read raw recordings into a store. Stopped or killed, the same command goes on where it stopped."""
    from ssl_skel.config import parse_config
    from ssl_skel.data.convert import convert as run
    from ssl_skel.data.normalize import NormalizeConfig
    from ssl_skel.data.repair import RepairConfig, parse_steps

    facts = run(
        format,
        source,
        store,
        normalize=parse_config(NormalizeConfig, {"centre": centre, "orient": orient, "scale": scale}, "convert"),
        options=[*(options or ()), *([f"score={score}"] if score else [])],
        skip_bad=skip_bad,
        overwrite=overwrite,
        layout=layout,
        dtype=dtype,
        exclude=exclude,
        repairs=RepairConfig(steps=parse_steps(repair)),
        jobs=jobs,
    )
    show(facts, json_)


def motions(
    store: StoreArgument,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Such as subjects=20.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing store.")] = False,
) -> None:
    """Write the built-in motions, people acting in front of several cameras, as a store."""
    from ssl_skel.config import config_from_words
    from ssl_skel.data.convert import describe
    from ssl_skel.data.synthetic import SyntheticConfig, write_synthetic

    write_synthetic(store, config_from_words(SyntheticConfig, overrides or [], "motions"), overwrite=overwrite)
    show(describe(store), as_json=False)


def info(store: StoreArgument, json_: JsonOption = False) -> None:
    """Tell what a store holds."""
    from ssl_skel.data.convert import describe

    show(describe(store), json_)


def split(
    store: StoreArgument,
    split: Annotated[str, typer.Option(help="Split whose training clips are drawn from; default: each.")] = "",
    fractions: Annotated[str, typer.Option(help="Shares of the labels, with commas: 0.01,0.1.")] = "",
    per_class: Annotated[str, typer.Option(help="Clips a class, with commas: 1,5.")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="How many draws; their seeds count from 0.")] = 5,
    json_: JsonOption = False,
) -> None:
    """Show a store's label subsets, drawing and keeping those that are new."""
    from ssl_skel.data.subsets import describe_subsets

    facts = describe_subsets(store, split, _numbers(fractions, float), _numbers(per_class, int), range(seeds))
    show(facts, json_)


def _numbers(text: str, kind: type[Number]) -> list[Number]:
    """Numbers that a user wrote with commas between.

    Raises:
        UserError: a word is no number.
    """
    try:
        return [kind(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise UserError(f"{text!r}: give numbers with commas between, such as 0.01,0.1 or 1,5") from error
