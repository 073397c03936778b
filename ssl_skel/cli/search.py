"""``ssl-skel search``. Nothing heavy is imported before the command is called."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssl_skel.cli.groups import grouped
from ssl_skel.cli.options import (
    DeviceOption,
    FormatOption,
    FpsOption,
    IndexArgument,
    JsonOption,
    OverwriteOption,
    ReadingArgument,
    StoresOption,
)
from ssl_skel.errors import UserError
from ssl_skel.escaping import say, show_json
from ssl_skel.files.taken import refuse_taken_file

if TYPE_CHECKING:
    from ssl_skel.retrieval.search import Answer


@dataclass(frozen=True)
class FilterOptions:
    """Filter."""

    label: Annotated[list[str] | None, typer.Option(help="Only clips of this class. Repeatable.")] = None
    subject: Annotated[list[str] | None, typer.Option(help="Only this subject (name or number). Repeatable.")] = None
    camera: Annotated[list[str] | None, typer.Option(help="Only this camera (name or number). Repeatable.")] = None
    within: Annotated[
        str, typer.Option(help="START:STOP that a hit must be between, in frames or seconds: 30s:45s.")
    ] = ""


@dataclass(frozen=True)
class QueryOptions:
    """Query."""

    clip: Annotated[str, typer.Option(help="Use only this clip of QUERY.")] = ""
    at: Annotated[str, typer.Option(help="For a clip cut into windows: the window at this frame, or second: 3s.")] = ""
    format: FormatOption = ""


@dataclass(frozen=True)
class MethodOptions:
    """Method."""

    k: Annotated[int, typer.Option("-k", help="Number of hits.")] = 10
    overlap: Annotated[float, typer.Option(help="Share of a window that two hits may have in common.")] = 0.3
    localise: Annotated[
        bool, typer.Option("--localise", help="For an index of windows: compare sequences, which finds places best.")
    ] = False
    exact: Annotated[bool, typer.Option("--exact", help="Do not use the index's faster search.")] = False
    database: Annotated[
        str, typer.Option(help="Where the table of an index of kind lance is, if not in its folder: s3://bucket/path.")
    ] = ""
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Also find what resembles the query with left and right exchanged.")
    ] = False
    at_least: Annotated[
        float | None,
        typer.Option(
            "--min", help="Leave out hits with a smaller centred similarity; if none is left: nothing like it."
        ),
    ] = None


@grouped
def search(
    index: IndexArgument,
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", help="Name of a clip of the index, or a raw file, folder or store."),
    ],
    selection: QueryOptions,
    filter: FilterOptions,
    method: MethodOptions,
    options: ReadingArgument = None,
    device: DeviceOption = "auto",
    page: Annotated[Path | None, typer.Option(help="HTML file to write: the clips side by side.")] = None,
    fps: FpsOption = None,
    store: StoresOption = None,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Find the clips most like a given one, or similar places in long recordings.

    The query itself is never a hit; exact copies of it under other names are, and are marked.
    """
    if page is not None:
        refuse_taken_file(page, overwrite, [index, Path(query)])
    from ssl_skel.data.frame_rate import to_frames
    from ssl_skel.retrieval.filters import Filter
    from ssl_skel.retrieval.index import MotionIndex
    from ssl_skel.retrieval.search import search as run

    how = asdict(method)
    opened = MotionIndex.open(index, device, how.pop("database"))
    rate = opened.common_fps
    chosen = Filter(filter.label or (), filter.subject or (), filter.camera or (), _within(filter.within, rate))
    at = to_frames(selection.at, rate, "--at") if selection.at else None
    given = asdict(selection) | {"at": at, "stores": tuple(store or ())}
    answers = run(opened, query, filter=chosen, options=options or (), **given, **how)
    spread = opened.spread
    if spread.warning:
        say(f"warning: {spread.warning}", error=True)
    if page is not None:
        from ssl_skel.view.draw.html import write_page
        from ssl_skel.view.search import page_of_answers

        write_page(page, page_of_answers(opened, answers, tuple(store or ()), fps), overwrite)
    if json_:
        found = [{"query": one.query.name, "hits": [asdict(hit) for hit in one.hits]} for one in answers]
        facts = {"usual": spread.usual, "rank": spread.rank, "cosine": spread.cosine}
        show_json({"index": str(index), "kind": opened.meta["kind"], "spread": facts, "answers": found})
    else:
        _show(answers, opened.windows)
        if not method.localise:
            usual = f"95 % of this index's clips have another at {spread.usual:.2f} or above"
            say(f"centred: 0 means no more in common than any two clips; {usual}")
            say("percentile: per cent of the pairs of clips in this index that are less similar")
        if page is not None:
            say(f"written: {page}")


def _show(answers: list[Answer], windows: bool) -> None:
    """Print a table for each query; the frames of a hit only where it is part of a clip."""
    from ssl_skel.console import show_table

    for answer in answers:
        if not answer.hits:
            say(f"{answer.query.name}: {answer.nothing}")
            continue
        facts = [hit.facts(windows) for hit in answer.hits]
        header = ["rank", *facts[0]]
        rows = [[str(hit.rank), *fact.values()] for hit, fact in zip(answer.hits, facts, strict=True)]
        show_table(header, rows, title=f"like {answer.query.name}")


def _within(text: str, fps: float) -> tuple[int, int | None] | None:
    from ssl_skel.data.frame_rate import to_frames

    if not text:
        return None
    first, colon, end = text.partition(":")
    if not colon:
        raise UserError(f"--within {text}: must be written START:STOP in frames or seconds, as in 900:1800 or 30s:")
    return to_frames(first or 0, fps, "--within"), to_frames(end, fps, "--within") if end else None
