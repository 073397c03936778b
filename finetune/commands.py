"""``ssl-skel fuse``, ``train-classifier`` and ``predict``. Nothing heavy is imported before a command is called."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from finetune.classifiers.names import DEFAULT_ENCODER, KEEP
from ssl_skel.cli.options import (
    BatchSizeOption,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    PoolingOption,
    ReadingArgument,
    StoreArgument,
)
from ssl_skel.errors import UserError
from ssl_skel.escaping import say, show_json
from ssl_skel.names import check_path_name

if TYPE_CHECKING:
    from ssl_skel.evaluation.predictions import Predictions


def fuse(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN RUN...", help="Evaluations with full, semi or psp, or linear with save: true."),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="NAME", help="Name of the fused run; it is made beside the first.")
    ],
    weights: Annotated[
        str, typer.Option(help="One per run, separated by commas: 0.6,0.6,0.4,0.4; default: by stream.")
    ] = "",
    fit: Annotated[
        Literal["validation", "heldout"] | None,
        typer.Option(help="validation: fit the weights on the validation subjects of select: validation."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Fuse the streams of several evaluations into one report, by a weighted sum of their stored logits.

    Weights are fixed beforehand (joint, bone and hops 0.6, motions 0.4) or fitted on validation subjects, never on
    test clips.
    """
    check_path_name(output, "--output: the fused run is made beside the first run")
    try:
        given = [float(word) for word in weights.split(",")] if weights else []
    except ValueError as error:
        raise UserError(f"--weights: {weights!r}; give numbers separated by commas, such as 0.6,0.6,0.4") from error
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
    if json_:
        show_json(report.model_dump(mode="json"))
        return
    report.show()
    for note in dict.fromkeys(note for row in report.measurements for note in row.notes):
        say(note)
    say(f"written: {runs[0].parent / output / 'report.md'}, report.json, answers.npz")


def predict(
    run: Annotated[Path, typer.Argument(help="Classifier, evaluation with save: true, or the folder of one training.")],
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Raw recording, a folder of them, or a store.")],
    options: ReadingArgument = None,
    format: Annotated[str, typer.Option(help="Raw format; default: the first that reads it.")] = "",
    training: Annotated[str, typer.Option(help="Which training; the beginning of its name is enough.")] = "",
    videos: Annotated[Path | None, typer.Option(help="Folder of videos, for a two-stream classifier.")] = None,
    top: Annotated[int, typer.Option("-k", "--top", min=1, help="How many classes to show.")] = 3,
    min_confidence: Annotated[
        float | None,
        typer.Option(min=0, max=1, help='Answer "none of these" below it; default: as the classifier says.'),
    ] = None,
    skip_bad: Annotated[bool, typer.Option(help="Leave damaged recordings out, and name them.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV file to write, one row per clip.")] = None,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Recognise the action in recordings with a trained classifier.

    If a training was repeated with several seeds or encoders, their probabilities are averaged.
    """
    from finetune.verb import predict as answer
    from ssl_skel.files.atomic import write_text
    from ssl_skel.files.taken import refuse_taken_file

    if output is not None:
        refuse_taken_file(output, overwrite, [source, run])
    found = answer(
        run,
        source,
        format=format,
        options=options or (),
        training=training,
        videos=videos,
        min_confidence=min_confidence,
        skip_bad=skip_bad,
    )
    for bad in found.skipped:
        say(f"left out: {bad['file']}: {bad['why']}", error=True)
    if output is not None:
        write_text(output, found.as_csv(), make_folder=False)
    if json_:
        show_json(_facts(found, top))
        return
    _show(found, top)
    if output is not None:
        say(f"written: {output}")


def _facts(found: Predictions, top: int) -> dict[str, Any]:
    """Answers as plain data."""
    answers = zip(found.clips, found.answers, found.confidence.tolist(), strict=True)
    clips = [
        {"clip": clip, "answer": word, "confidence": sure}
        | {"classes": [{"name": name, "probability": share} for name, share in found.best(at, top)]}
        for at, (clip, word, sure) in enumerate(answers)
    ]
    estimate = found.estimate.model_dump(mode="json") if found.estimate else None
    return {"trainings": found.trainings, "threshold": found.threshold, "estimate": estimate, "clips": clips}


def _show(found: Predictions, top: int) -> None:
    """Print one row per clip, and the expected accuracy."""
    from ssl_skel.console import show_table

    if len(found.trainings) > 1:
        say(f"mean probabilities of {len(found.trainings)} trainings: {', '.join(found.trainings)}")
    answers = zip(found.clips, found.answers, found.confidence, strict=True)
    rows = [[clip, word, f"{sure:.2f}", _shares(found.best(at, top))] for at, (clip, word, sure) in enumerate(answers)]
    show_table(("clip", "answer", "confidence", "probabilities"), rows, numbers=("confidence",))
    if found.estimate:
        say(f"expected accuracy: {found.estimate.sentence()}")
    if found.threshold:
        say(f'"none of these": the confidence is below {found.threshold:.2f}')


def train_classifier(
    store: StoreArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make, for ssl-skel predict.")],
    encoder: Annotated[
        Path, typer.Option(help="Run directory, folder of an encoder, or box/NAME (see ssl-skel encoders).")
    ] = Path(DEFAULT_ENCODER),
    pooling: PoolingOption = None,
    keep: Annotated[float, typer.Option(help='Share of right answers that must not become "none of these".')] = KEEP,
    batch_size: BatchSizeOption = 128,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
) -> None:
    """Train a classifier on everything labelled in a store, and estimate its accuracy on new people.

    A linear classifier on features of the frozen encoder. The estimate is by cross-validation: people are held out, or
    recordings where people are unknown. It is stored in the classifier's head.json, and predict prints it.
    """
    from finetune.verb import train_classifier as train

    found = train(
        store,
        output,
        encoder,
        pooling=pooling,
        keep=keep,
        batch_size=batch_size,
        device=device,
        overwrite=overwrite,
    )
    if json_:
        show_json({"classifier": str(output), **found.model_dump(mode="json")})
        return
    from ssl_skel.console import show_table

    rows = [[name, f"{100 * share:.1f}"] for name, share in sorted(found.per_class.items(), key=lambda one: one[1])]
    show_table(("class", "recall, %"), rows, numbers=("recall, %",))
    say(f"expected accuracy: {found.sentence()}")
    lost = [f"{100 * (1 - found.kept):.0f} % of right answers"]
    lost += [f"{100 * found.refused_wrong:.0f} % of wrong ones"] if found.refused_wrong is not None else []
    lost += [f"{100 * found.refused_unseen:.0f} % of other motions"] if found.refused_unseen is not None else []
    say(f'"none of these" below a confidence of {found.threshold:.2f}: {", ".join(lost)}')
    say(f"written: {output}")


def _shares(classes: list[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {100 * share:.1f} %" for name, share in classes)
