"""``ssl-skel fuse`` and ``ssl-skel predict``. Nothing heavy is imported before a command is called."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from typing import Annotated, Literal

import typer

from ssl_skel.cli.options import JsonOption, ReadingArgument
from ssl_skel.errors import UserError
from ssl_skel.escaping import say, show_json
from ssl_skel.names import check_path_name


def fuse(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN RUN...", help="Evaluations with full, semi or psp, or linear with save: true."),
    ],
    output: Annotated[str, typer.Option("--output", "-o", metavar="NAME", help="Of the fused run, beside the first.")],
    weights: Annotated[str, typer.Option(help="One a run, with commas: 0.6,0.6,0.4,0.4; default: by stream.")] = "",
    fit: Annotated[
        Literal["validation", "heldout"] | None,
        typer.Option(help="validation: fit the weights on the validation subjects of select: validation."),
    ] = None,
) -> None:
    """Fuse the streams of several evaluations into one report, by a weighted sum of their stored logits.

    Weights are fixed beforehand (joint, bone and hops 0.6, motions 0.4) or fitted on validation subjects, never on
    test clips.
    """
    check_path_name(output, "--output: the fused run is made beside the first run")
    try:
        given = [float(word) for word in weights.split(",")] if weights else []
    except ValueError as error:
        raise UserError(f"--weights: {weights!r}; give numbers with commas between, such as 0.6,0.6,0.4") from error
    from ssl_skel.config import FormerName
    from ssl_skel.evaluation.report import Report

    for path in runs:
        Report.load(path)

    from finetune.fusion.run import fuse as run  # needs torch

    if fit == "heldout":
        warnings.warn("--fit heldout is now called --fit validation", FormerName, stacklevel=2)
    options = (["--weights", weights] if weights else []) + (["--fit", "validation"] if fit else [])
    command = shlex.join(["ssl-skel", "fuse", *map(str, runs), *options, "-o", output])
    report = run(runs, output, given, fit=bool(fit), command=command)
    report.show()
    for note in dict.fromkeys(note for row in report.measurements for note in row.notes):
        say(note)
    say(f"report: {runs[0].parent / output / 'report.md'}")


def predict(
    run: Annotated[Path, typer.Argument(help="Evaluation with save: true, or the folder of one training.")],
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Raw recording, a folder of them, or a store.")],
    options: ReadingArgument = None,
    format: Annotated[str, typer.Option(help="Raw format; default: the first that reads it.")] = "",
    training: Annotated[str, typer.Option(help="Which training; the beginning of its name is enough.")] = "",
    videos: Annotated[Path | None, typer.Option(help="Folder of videos, for a two-stream classifier.")] = None,
    top: Annotated[int, typer.Option("-k", "--top", min=1, help="How many classes to show.")] = 3,
    json_: JsonOption = False,
) -> None:
    """Recognise the action in a recording, with probabilities, by a trained classifier.

    Where a training was repeated with several seeds or encoders, their probabilities are averaged.
    """
    from finetune.verb import predict as answer

    found = answer(run, source, format=format, options=options or (), training=training, videos=videos)
    ranked = {clip: found.best(at, top) for at, clip in enumerate(found.clips)}
    if json_:
        clips = [{"clip": clip, "classes": [{"name": n, "probability": p} for n, p in r]} for clip, r in ranked.items()]
        show_json({"trainings": list(found.trainings), "clips": clips})
        return
    if len(found.trainings) > 1:
        say(f"mean probabilities of {len(found.trainings)} trainings: {', '.join(found.trainings)}")
    for clip, classes in ranked.items():
        say(f"{clip}: {', '.join(f'{name} {100 * share:.1f} %' for name, share in classes)}")
