"""``ssl-skel convert``, ``synthetic``, ``info`` and ``split``. Nothing heavy is imported before a command is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from ssl_skel.cli.formats import listed, names
from ssl_skel.cli.options import JsonOption, OverwriteOption, ShardOption, StoreArgument, parse_shard
from ssl_skel.errors import UserError
from ssl_skel.escaping import say

Number = TypeVar("Number", int, float)
ScoreOption = Annotated[
    Literal["keep", "drop"] | None,
    typer.Option(help="2D: keep each joint's confidence as third channel, or drop it."),
]
ExcludeOption = Annotated[
    Path | None, typer.Option(help="File with names of clips to leave out, such as exclude.txt of an audit.")
]


def convert(
    format: Annotated[str, typer.Argument(help="Raw format, one of those above.", autocompletion=names)],
    source: Annotated[Path, typer.Argument(help="Folder or file of raw recordings.")],
    store: StoreArgument,
    options: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Options of the format, such as min_score=0.3.")
    ] = None,
    centre: Annotated[
        Literal["first", "frame", "none"],
        typer.Option(help="Centre on the centre joint of the first frame, of each frame, or not at all."),
    ] = "first",
    orient: Annotated[
        bool, typer.Option(help="Rotate each clip so that the body faces the camera in its first frame.")
    ] = False,
    align: Annotated[bool, typer.Option(help="Turn each person on their own, spine upright, as InfoGCN does.")] = False,
    scale: Annotated[bool, typer.Option(help="Divide coordinates by the mean bone length.")] = False,
    layout: Annotated[str | None, typer.Option(help="Joint layout, for formats that do not fix it.")] = None,
    score: ScoreOption = None,
    dtype: Annotated[
        Literal["float32", "float16"], typer.Option(help="float16 takes half the space: 1 mm at 2 to 4 m.")
    ] = "float32",
    exclude: ExcludeOption = None,
    repair: Annotated[
        str, typer.Option(help="What to repair and record, separated by commas: tracks, jumps, gaps.")
    ] = "",
    rate: Annotated[float, typer.Option(min=0, help="Frames a second to resample clips to; 0: keep their own.")] = 0.0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes that read files.")] = 1,
    shard: ShardOption = "1/1",
    skip_bad: Annotated[bool, typer.Option(help="Skip damaged files and clips; their names are recorded.")] = False,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Convert raw recordings to a store. If stopped or killed, the same command continues.

    --shard converts a part of the files; merge-shards joins the parts.
    """
    from ssl_skel.config import parse_config
    from ssl_skel.data.convert import convert as run
    from ssl_skel.data.normalize import NormalizeConfig
    from ssl_skel.data.repair import RepairConfig, parse_steps

    normalize = {"centre": centre, "orient": orient, "align": align, "scale": scale}
    facts = run(
        format,
        source,
        store,
        normalize=parse_config(NormalizeConfig, normalize, "convert"),
        options=[*(options or ()), *([f"score={score}"] if score else [])],
        skip_bad=skip_bad,
        overwrite=overwrite,
        layout=layout,
        dtype=dtype,
        exclude=exclude,
        repairs=RepairConfig(steps=parse_steps(repair)),
        rate=rate,
        jobs=jobs,
        shard=parse_shard(shard),
    )
    _show(facts, json_, written=store)


convert.__doc__ = f"{convert.__doc__}\n\n\b\n{listed()}"


def synthetic(
    store: StoreArgument,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Such as subjects=20.")] = None,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Generate a store of synthetic actions: people acting in front of several cameras."""
    from ssl_skel.config import config_from_words
    from ssl_skel.console import show_facts
    from ssl_skel.data.convert import describe
    from ssl_skel.data.synthetic import SyntheticConfig, write_synthetic

    write_synthetic(store, config_from_words(SyntheticConfig, overrides or [], "synthetic"), overwrite=overwrite)
    show_facts(describe(store), json_)
    if not json_:
        say(f"written: {store}")


def info(store: StoreArgument, json_: JsonOption = False) -> None:
    """Show what a store holds."""
    from ssl_skel.data.convert import describe

    _show(describe(store), json_)


def split(
    store: StoreArgument,
    split: Annotated[str, typer.Option(help="Only this split; default: every split.")] = "",
    fractions: Annotated[str, typer.Option(help="Fractions of the labels, separated by commas: 0.01,0.1.")] = "",
    per_class: Annotated[str, typer.Option(help="Clips per class, separated by commas: 1,5.")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Number of draws; their seeds count from 0.")] = 5,
    json_: JsonOption = False,
) -> None:
    """Show a store's splits; given fractions or clips per class, its label subsets, which are drawn and saved.

    Besides the splits recorded in a store, these are derived from its clips: by_subject, leave_one_subject_out,
    by_camera, random.
    """
    from ssl_skel.console import show_facts, show_table
    from ssl_skel.data.subsets import describe_splits, describe_subsets
    from ssl_skel.escaping import show_json

    shares, counts = _numbers(fractions, float), _numbers(per_class, int)
    if shares or counts:
        show_facts(describe_subsets(store, split, shares, counts, range(seeds)), json_)
        return
    facts = describe_splits(store, split)
    if json_:
        show_json({"store": str(store), **facts})
        return
    show_table(
        ("split", "train", "test"),
        [[name, *map(str, sizes.values())] for name, sizes in facts.items() if isinstance(sizes, dict)],
    )
    for reason in facts.values():
        if isinstance(reason, str):
            say(f"! {reason}")


def _show(facts: dict[str, Any], as_json: bool, written: Path | None = None) -> None:
    """Print facts about a store; on lines of their own what was left out, each notice, and the store if it is new."""
    from ssl_skel.console import show_facts

    lines = {"dropped": "counted", "notices": "notice"}
    show_facts(facts if as_json else {key: fact for key, fact in facts.items() if key not in lines}, as_json)
    for key, title in lines.items():
        for line in facts[key]:
            say(f"{title}: {line}", error=True)
    if written and not as_json:
        say(f"written: {written}")


def _numbers(text: str, kind: type[Number]) -> list[Number]:
    """Numbers separated by commas.

    Raises:
        UserError: a word is not a number.
    """
    try:
        return [kind(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise UserError(f"{text!r}: give numbers separated by commas, such as 0.01,0.1 or 1,5") from error
