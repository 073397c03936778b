"""``ssl-skel export`` and ``embed``. Nothing heavy is imported before they are called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ssl_skel.cli.app import JsonOption, show

RunArgument = Annotated[Path, typer.Argument(help="Run directory, or a folder with an encoder.")]
ReadoutOption = Annotated[
    Literal["mean", "body", "part", "joint", "part_quarters"],
    typer.Option(help="How frames and joints become one vector."),
]
OverwriteOption = Annotated[bool, typer.Option(help="Replace the file.")]


def export(
    run: RunArgument,
    to: Annotated[Literal["onnx", "torch-export"], typer.Option(help="What to write.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .onnx or .pt2.")],
    readout: ReadoutOption = "mean",
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Write an encoder as one file for other runtimes, and say how far its answers are off."""
    from ssl_skel.embedding.export import export_encoder

    show(export_encoder(run, to, output, readout=readout, overwrite=overwrite), json_)


def embed(
    run: RunArgument,
    source: Annotated[Path, typer.Argument(help="Store, or raw recordings.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .npz or .parquet.")],
    readout: ReadoutOption = "mean",
    split: Annotated[str, typer.Option(help="Split whose sides are written beside.")] = "",
    batch_size: Annotated[int, typer.Option(min=1, help="Clips a step.")] = 128,
    precision: Annotated[Literal["no", "bf16"], typer.Option(help="Of the encoder; no is float32.")] = "no",
    device: Annotated[str, typer.Option(help="Where the encoder runs: auto, cpu, cuda and the like.")] = "auto",
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Write the features of every clip of a store, or of raw recordings."""
    from ssl_skel.embedding.table import embed as run_embed

    bf16 = precision == "bf16"
    facts = run_embed(
        run,
        source,
        output,
        readout=readout,
        split=split,
        batch_size=batch_size,
        bf16=bf16,
        device=device,
        overwrite=overwrite,
    )
    show(facts, json_)
