"""``ssl-skel index``, ``merge-index``, ``search`` and ``evaluate-retrieval``. Heavy imports wait for a call."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssl_skel.cli.options import JsonOption, PoolingOption
from ssl_skel.errors import UserError

if TYPE_CHECKING:
    from ssl_skel.retrieval.index import MotionIndex
    from ssl_skel.retrieval.search import Hit, Query

IndexArgument = Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of the index.")]
OutOption = Annotated[Path, typer.Option("--output", "-o", help="Folder of the index to make.")]
KindOption = Annotated[str, typer.Option(help="How to search: flat (exact), or ivf, hnsw or ivfpq (faster).")]
StoresOption = Annotated[
    list[Path] | None, typer.Option("--store", help="Where a store of the index lies now. May be repeated.")
]
DeviceOption = Annotated[str, typer.Option(help="Where the encoder runs: auto, cpu, cuda and the like.")]
OverwriteOption = Annotated[bool, typer.Option(help="Replace what is there.")]


def index(
    run: Annotated[Path, typer.Argument(help="Run directory, or folder of an encoder.")],
    store: Annotated[Path, typer.Argument(help="Store whose clips to embed.")],
    output: OutOption,
    kind: KindOption = "flat",
    pooling: PoolingOption = "mean",
    window: Annotated[
        list[int] | None, typer.Option(help="Frames of windows inside long clips. May be repeated.")
    ] = None,
    stride: Annotated[int | None, typer.Option(help="Frames between windows; default: a quarter of one.")] = None,
    shard: Annotated[str, typer.Option(help="Only this part, as in 2/4; merge-index joins them.")] = "1/1",
    batch_size: Annotated[int, typer.Option(help="Clips a step.")] = 128,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Embed every clip of a store, or windows in them, so that they can be searched."""
    from ssl_skel.retrieval.build import build_index

    part = re.fullmatch(r"(\d+)/(\d+)", shard)
    if not part:
        raise UserError(f"--shard {shard}: is written i/n, as in 1/4")
    made = build_index(
        run,
        store,
        output,
        kind=kind,
        readout=pooling,
        windows=window or (),
        stride=stride,
        shard=(int(part[1]), int(part[2])),
        batch_size=batch_size,
        device=device,
        overwrite=overwrite,
        progress=True,
    )
    _show_index(made, json_)


def merge_index(
    shards: Annotated[list[Path], typer.Argument(metavar="SHARD...", help="Indexes to join.")],
    output: OutOption,
    kind: KindOption = "flat",
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Join indexes of one encoder that were built apart."""
    from ssl_skel.retrieval.build import merge_indexes

    _show_index(merge_indexes(shards, output, kind=kind, overwrite=overwrite, progress=True), json_)


def search(
    index: IndexArgument,
    query: Annotated[str, typer.Argument(help="Name of a clip of the index, or a raw file, folder of them, or store.")],
    k: Annotated[int, typer.Option("-k", help="How many to find.")] = 10,
    label: Annotated[list[str] | None, typer.Option(help="Only clips of this class. May be repeated.")] = None,
    subject: Annotated[list[int] | None, typer.Option(help="Only this subject. May be repeated.")] = None,
    camera: Annotated[list[int] | None, typer.Option(help="Only this camera. May be repeated.")] = None,
    within: Annotated[str, typer.Option(help="START:STOP, frames of their recording that answers lie between.")] = "",
    overlap: Annotated[float, typer.Option(help="Share of a window that two answers may have in common.")] = 0.3,
    clip: Annotated[str, typer.Option(help="The one clip to take from QUERY.")] = "",
    at: Annotated[int | None, typer.Option(help="Of a clip cut into windows: the one at this frame.")] = None,
    format: Annotated[str, typer.Option(help="Raw format of QUERY; default: the first that reads it.")] = "",
    localise: Annotated[
        bool, typer.Option("--localise", help="Of an index of windows: compare in sequence, which finds places best.")
    ] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Leave the index's faster search aside.")] = False,
    device: DeviceOption = "auto",
    page: Annotated[Path | None, typer.Option(help="HTML file to write: the clips side by side.")] = None,
    store: StoresOption = None,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Find the clips most like one, or the places in long recordings.

    The query itself is never an answer; exact copies of it under other names are, and are marked.
    """
    from ssl_skel.retrieval.index import MotionIndex
    from ssl_skel.retrieval.localise import localise as find_places
    from ssl_skel.retrieval.search import answer, ask, select

    if page is not None and page.exists() and not overwrite:
        raise UserError(f"{page}: exists already; choose another path, or replace it with --overwrite")
    opened = MotionIndex.open(index, device)
    rows = select(opened, label or (), subject or (), camera or (), _within(within))
    asked = ask(opened, query, clip=clip, at=at, format=format)
    if page is not None and len(asked) > 1:
        raise UserError(f"{query}: holds {len(asked)} clips, a page shows one; name it with --clip")
    if localise:
        answers = [find_places(opened, one, k, rows=rows, overlap=overlap) for one in asked]
    else:
        answers = [answer(opened, one, k, rows=rows, exact=exact, overlap=overlap) for one in asked]
    if page is not None:
        _write_page(page, opened, asked[0], answers[0], tuple(store or ()), overwrite)
    if json_:
        found = [
            {"query": one.name, "hits": [asdict(hit) for hit in hits]} for one, hits in zip(asked, answers, strict=True)
        ]
        print(json.dumps({"index": str(index), "kind": opened.meta["kind"], "answers": found}, indent=2))
        return
    for one, hits in zip(asked, answers, strict=True):
        _table(
            f"like {one.name}",
            ["", "similarity", "clip", *(["frames"] if opened.windows else []), "label", "subject", "camera", ""],
            [[str(hit.rank), *_facts(hit, opened.windows)] for hit in hits],
        )


def evaluate_retrieval(
    index: IndexArgument,
    split: Annotated[str, typer.Option(help="Test clips of this split ask, training clips are found.")],
    kind: Annotated[
        list[str] | None, typer.Option(help="Faster search to put beside; default: the index's. May be repeated.")
    ] = None,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Search among the other test clips instead.")
    ] = False,
    keep_copies: Annotated[
        bool, typer.Option("--keep-copies", help="Let exact copies of a query count as answers.")
    ] = False,
    store: StoresOption = None,
    json_: JsonOption = False,
) -> None:
    """Measure how well an index answers, exactly and faster, with queries a second."""
    from ssl_skel.evaluation.ranking import MEASURES
    from ssl_skel.retrieval.evaluate import evaluate_index
    from ssl_skel.retrieval.index import MotionIndex

    opened = MotionIndex.open(index)
    own = () if opened.meta["kind"] == "flat" else (opened.meta["kind"],)
    found = evaluate_index(
        opened,
        split,
        kinds=tuple(kind or own),
        leave_one_out=leave_one_out,
        keep_copies=keep_copies,
        stores=tuple(store or ()),
    )
    if json_:
        print(json.dumps(found, indent=2))
        return
    print(
        f"{found['queries']} queries, {found['gallery']} in the gallery; "
        f"{found['excluded']} pairs of one recording left out, {found['without']} queries had nothing to find"
    )

    def row(figures: dict[str, float] | None) -> list[str]:
        return [f"{100 * figures[name]:.1f}" if figures and name in figures else "-" for name in MEASURES]

    searches = found["searches"]
    body = [
        [name, *row(one["figures"]), f"{100 * one['recall']:.1f}" if "recall" in one else "100", _speed(one)]
        for name, one in searches.items()
    ]
    _table(split, ["search", *(f"{name}, %" for name in MEASURES), "recall@10, %", "queries/s"], body)
    classes = [[name, *row(figures)] for name, figures in searches["flat"]["per_class"].items()]
    _table("", ["class", *(f"{name}, %" for name in MEASURES)], classes)


def _within(text: str) -> tuple[int, int | None] | None:
    if not text:
        return None
    part = re.fullmatch(r"(\d*):(\d*)", text)
    if not part:
        raise UserError(f"--within {text}: is written START:STOP in frames, as in 900:1800 or 900:")
    return int(part[1] or 0), int(part[2]) if part[2] else None


def _facts(hit: Hit, windows: bool) -> list[str]:
    numbers = [str(number) if number >= 0 else "" for number in (hit.subject, hit.camera)]
    frames = [f"{hit.start}-{hit.start + hit.length}"] if windows else []
    return [f"{hit.similarity:.3f}", hit.name, *frames, hit.label, *numbers, "copy of the query" if hit.copy else ""]


def _speed(one: dict[str, Any]) -> str:
    return f"{one['queries_per_second']:,.0f}"


def _show_index(made: MotionIndex, json_: bool) -> None:
    facts: dict[str, Any] = {
        "index": str(made.path),
        "vectors": len(made),
        "dimensions": made.vectors.shape[1],
        "kind": made.meta["kind"],
        "megabytes": round(sum(made.meta["sizes"].values()) / 1e6, 1),
    }
    if made.meta["search"]:
        facts["recall_at_10"] = round(made.meta["search"]["recall"], 4)
    if json_:
        print(json.dumps(facts, indent=2))
    else:
        _table(
            "",
            [],
            [
                [key.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value)]
                for key, value in facts.items()
            ],
        )


def _table(title: str, header: list[str], body: list[list[str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title) or None, title_justify="left", show_header=bool(header), box=None)
    for name in header:
        table.add_column(name, no_wrap=True)
    for row in body:
        table.add_row(*(escape(cell) for cell in row))
    Console(soft_wrap=True).print(table)


def _write_page(
    page: Path, index: MotionIndex, query: Query, hits: list[Hit], stores: tuple[Path, ...], overwrite: bool
) -> None:
    from ssl_skel.view.draw.clips import RenderableClip
    from ssl_skel.view.draw.pages import search_page, write_page

    def joints(row: int, length: int | None = None) -> Any:
        number = int(index.rows["store"][row])
        if number not in opened:
            opened[number] = index.open_store(number, stores)
        return index.joints(row, opened[number], length)

    opened: dict[int, Any] = {}
    shown = []
    for hit in hits:
        names = ("similarity", "clip", *(("frames",) if index.windows else ()), "label", "subject", "camera", "note")
        facts = {name: fact for name, fact in zip(names, _facts(hit, index.windows), strict=True) if fact}
        facts.pop("clip")
        shown.append(RenderableClip(hit.name, joints(hit.row, hit.length), index.layout, facts))
    seen = joints(query.row) if query.joints is None else query.joints
    write_page(page, search_page(RenderableClip(query.name, seen, index.layout), shown), overwrite)
