"""``ssl-skel export`` and ``embed``. Nothing heavy is imported before the arguments are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ssl_skel.cli.inputs import check_encoder, check_source
from ssl_skel.cli.options import (
    BatchSizeOption,
    DeviceOption,
    FormatOption,
    JsonOption,
    OverwriteOption,
    PoolingOption,
    ReadingArgument,
    RunArgument,
    ShardOption,
    parse_shard,
)
from ssl_skel.escaping import say


def export(
    run: RunArgument,
    to: Annotated[Literal["onnx", "torch-export"], typer.Option(help="Format to write.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .onnx or .pt2.")],
    pooling: PoolingOption = None,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Write an encoder as one file for other runtimes, and measure how far its outputs differ."""
    from ssl_skel.embedding.outputs import check_export

    check_export(to, output, overwrite)
    check_encoder(run)

    from ssl_skel.console import show_facts
    from ssl_skel.embedding.export import export_encoder

    show_facts(export_encoder(run, to, output, pooling=pooling, overwrite=overwrite), json_)
    if not json_:
        say(f"written: {output}")


def embed(
    run: RunArgument,
    source: Annotated[Path, typer.Argument(help="Store, or raw recordings.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .npz or .parquet.")],
    options: ReadingArgument = None,
    format: FormatOption = "",
    pooling: PoolingOption = None,
    split: Annotated[str, typer.Option(help="Split whose train and test flags are added.")] = "",
    shard: ShardOption = "1/1",
    batch_size: BatchSizeOption = 128,
    precision: Annotated[Literal["no", "bf16"], typer.Option(help="Precision of the encoder; no is float32.")] = "no",
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Write the features of every clip of a store, or of raw recordings.

    --shard writes those of a part of the clips; a folder of such .parquet files is read as one table.
    """
    from ssl_skel.embedding.outputs import check_table

    part = parse_shard(shard)
    check_table(output, overwrite, source)
    check_encoder(run)
    check_source(source, split)

    from ssl_skel.console import show_facts
    from ssl_skel.embedding.table import embed as run_embed

    facts = run_embed(
        run,
        source,
        output,
        format=format,
        options=options or (),
        pooling=pooling,
        split=split,
        shard=part,
        batch_size=batch_size,
        precision=precision,
        device=device,
        overwrite=overwrite,
    )
    show_facts(facts, json_)
    if not json_:
        say(f"written: {output}")
