"""``ssl-skel index``, ``merge-index`` and ``evaluate-retrieval``. Heavy imports wait for a call."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ssl_skel.cli.inputs import check_encoder, check_store
from ssl_skel.cli.options import (
    BatchSizeOption,
    DeviceOption,
    IndexArgument,
    JsonOption,
    OverwriteOption,
    PoolingOption,
    RunArgument,
    ShardOption,
    StoreArgument,
    StoresOption,
    parse_shard,
)
from ssl_skel.escaping import say, show_json

if TYPE_CHECKING:
    from ssl_skel.retrieval.index import MotionIndex

OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Folder of the index to write.")]
KindOption = Annotated[
    Literal["flat", "ivf", "hnsw", "ivfpq", "lance"],
    typer.Option(help="Search method: flat is exact, the next three are faster, lance is for more than memory holds."),
]


def index(
    run: RunArgument,
    store: StoreArgument,
    output: OutputOption,
    kind: KindOption = "flat",
    pooling: PoolingOption = None,
    window: Annotated[
        list[str] | None,
        typer.Option(help="Length of windows in long clips, in frames or seconds: 60, 2s. May be repeated."),
    ] = None,
    stride: Annotated[
        str | None, typer.Option(help="Frames or seconds between windows; default: a quarter of a window.")
    ] = None,
    shard: ShardOption = "1/1",
    batch_size: BatchSizeOption = 128,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Embed every clip of a store, or windows of long clips, for search.

    --shard makes a part of the index; merge-index joins the parts. If stopped or killed, the same command continues.
    """
    part = parse_shard(shard)
    _check_output(output, kind, overwrite, [run, store])
    check_encoder(run)
    check_store(store)

    from ssl_skel.retrieval.build import build_index

    made = build_index(
        run,
        store,
        output,
        kind=kind,
        pooling=pooling,
        windows=window or (),
        stride=stride,
        shard=part,
        batch_size=batch_size,
        device=device,
        overwrite=overwrite,
        progress=True,
    )
    _show_index(made, json_)


def merge_index(
    shards: Annotated[list[Path], typer.Argument(metavar="SHARD...", help="Indexes to join.")],
    output: OutputOption,
    kind: KindOption = "flat",
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Join indexes that were built separately with one encoder."""
    _check_output(output, kind, overwrite, shards)

    from ssl_skel.retrieval.index import MotionIndex

    for path in shards:
        MotionIndex.open(path)

    from ssl_skel.retrieval.merge import merge_indexes

    _show_index(merge_indexes(shards, output, kind=kind, overwrite=overwrite, progress=True), json_)


def evaluate_retrieval(
    index: IndexArgument,
    split: Annotated[str, typer.Option(help="Split whose test clips are queries and whose training clips are found.")],
    kind: Annotated[
        list[str] | None, typer.Option(help="Faster search to compare; default: the index's. May be repeated.")
    ] = None,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Search among the other test clips instead.")
    ] = False,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Count exact copies of a query as hits.")
    ] = False,
    store: StoresOption = None,
    json_: JsonOption = False,
) -> None:
    """Measure the accuracy and speed of an index, for exact and faster search."""
    from ssl_skel.retrieval.index import MotionIndex
    from ssl_skel.retrieval.kinds import check_kind

    opened = MotionIndex.open(index)
    for name in kind or ():
        check_kind(name)

    from ssl_skel.retrieval.evaluate import evaluate_index

    own = () if opened.meta["kind"] == "flat" else (opened.meta["kind"],)
    found = evaluate_index(
        opened,
        split,
        kinds=tuple(kind or own),
        leave_one_out=leave_one_out,
        keep_duplicates=keep_duplicates,
        stores=tuple(store or ()),
    )
    if json_:
        show_json(found)
    else:
        _show_evaluation(found)


def _check_output(output: Path, kind: str, overwrite: bool, inputs: Iterable[Path]) -> None:
    from ssl_skel.files.taken import refuse_taken_folder
    from ssl_skel.retrieval.kinds import check_kind

    refuse_taken_folder(output, overwrite, "index", inputs)
    check_kind(kind)


def _show_evaluation(found: dict[str, Any]) -> None:
    """Print what ``evaluate_index`` measured: a table of the searches and a table of the classes."""
    from ssl_skel.console import show_table
    from ssl_skel.evaluation.ranking import MEASURES

    def percent(figures: dict[str, float] | None) -> list[str]:
        return [f"{100 * figures[name]:.1f}" if figures and name in figures else "-" for name in MEASURES]

    say(
        f"{found['queries']} queries, {found['gallery']} in the gallery; "
        f"{found['excluded']} pairs of one recording excluded, {found['without']} queries without a match"
    )
    searches = [
        [
            name,
            *percent(one["figures"]),
            f"{100 * one['recall']:.1f}" if "recall" in one else "100",
            f"{one['queries_per_second']:,.0f}",
        ]
        for name, one in found["searches"].items()
    ]
    measures = [f"{name}, %" for name in MEASURES]
    show_table(["search", *measures, "recall@10, %", "queries/s"], searches, title=found["split"])
    classes = [[name, *percent(figures)] for name, figures in found["searches"]["flat"]["per_class"].items()]
    show_table(["class", *measures], classes)


def _show_index(made: MotionIndex, json_: bool) -> None:
    from ssl_skel.console import show_facts

    facts: dict[str, Any] = {
        "index": str(made.path),
        "vectors": len(made),
        "dimensions": made.vectors.shape[1],
        "kind": made.meta["kind"],
        "megabytes": round(sum(file.stat().st_size for file in made.path.rglob("*") if file.is_file()) / 1e6, 1),
    }
    if made.meta["search"]:
        facts["recall_at_10"] = round(made.meta["search"]["recall"], 4)
    facts["effective_rank"] = round(made.spread.rank, 1)
    show_facts(facts, json_)
    if made.spread.warning:
        say(f"warning: {made.spread.warning}", error=True)
    if not json_:
        say(f"written: {made.path}")
