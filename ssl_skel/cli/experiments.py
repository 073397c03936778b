"""``ssl-skel runs``, ``report`` and ``sweep``. Nothing heavy is imported before a command is called."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Literal

import typer

from ssl_skel.cli.options import ConfigArgument, JsonOption
from ssl_skel.errors import UserError
from ssl_skel.escaping import say, say_page, show_json


def runs(
    folder: Annotated[Path, typer.Argument(help="Folder that run directories are made in.")] = Path("runs"),
    where: Annotated[
        list[str] | None, typer.Option(help="key=value of the config, or of a fact: state=finished. May be repeated.")
    ] = None,
    pretext: Annotated[str, typer.Option(help="Only runs of this pretext, and evaluations of its encoders.")] = "",
    split: Annotated[str, typer.Option(help="Only runs on this split.")] = "",
    sort: Annotated[str, typer.Option(help="A key of the config, a fact or a figure, such as seconds or loss.")] = "",
    reverse: Annotated[bool, typer.Option(help="Largest first.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show the keys in which the configs differ.")] = False,
    json_: JsonOption = False,
) -> None:
    """List runs: their progress and results.

    Figures of pretraining runs are accuracies on test clips, for monitoring only: choosing a run by them is choosing on
    the test set.
    """
    from ssl_skel.experiments import listing
    from ssl_skel.experiments.finding import find_runs

    found, skipped = find_runs(folder)
    chosen = listing.select(found, where or (), pretext, split)
    if sort:
        chosen = listing.sort(chosen, sort, reverse)
    for line in skipped:
        say(f"skipped: {line}", error=True)
    if json_:
        facts = {"runs": [run.facts() for run in chosen], "skipped": skipped}
        show_json(facts | ({"differences": listing.differences(chosen)} if diff else {}))
    elif not chosen:
        say("no runs", error=True)
    else:
        listing.show(chosen)
        if diff:
            say()
            listing.show_differences(chosen)


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories of ssl-skel finetune.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write instead of printing.")] = None,
    format: Annotated[
        Literal["markdown", "csv", "latex", "json"] | None,
        typer.Option(help="Default: as the file's name says, else markdown."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """One table over evaluations: each encoder, protocol and split, with baselines and published figures.

    Evaluations that differ in nothing but seeds and names are pooled; any other difference gives a row of its own.
    """
    from ssl_skel.experiments.comparison import compare
    from ssl_skel.experiments.formats import FORMATS, SUFFIXES
    from ssl_skel.files.atomic import write_text
    from ssl_skel.files.taken import refuse_taken_file

    if output is not None:
        refuse_taken_file(output, overwrite=True)
    if json_ and format not in (None, "json"):
        raise UserError(f"--json and --format {format}: give one of the two")
    chosen = "json" if json_ else format or (SUFFIXES.get(output.suffix, "") if output else "") or "markdown"
    text = FORMATS[chosen](compare(runs))
    if output is None:
        say_page(text)
        return
    write_text(output, text, make_folder=False)
    say(f"written: {output}")


def sweep(
    config: ConfigArgument,
    grid: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE,VALUE...",
            help="Such as optim.lr=1e-3,3e-4 seed=0,1,2. Brackets group one value: data.crop=[0.5,1],[1,1].",
        ),
    ] = None,
    print_: Annotated[bool, typer.Option("--print", help="List the runs without starting them.")] = False,
    json_: JsonOption = False,
) -> None:
    """Run a grid, one run after another, each named after its values. Repeat the command to continue it.

    The keys of the config decide whether it is for pretrain or finetune.
    Finished runs are skipped, stopped ones continue. If a run fails, the others still run, and the exit code is 1.
    Ctrl-C stops after a checkpoint of the current run.
    """
    import shlex

    from ssl_skel.experiments import listing
    from ssl_skel.experiments.finding import find_runs
    from ssl_skel.experiments.sweep import RESUME, plan, program, run_all, verb_for

    models = {entry.name: entry.load() for entry in entry_points(group="ssl_skel.configs")}
    verb = verb_for(config, models)
    jobs = plan(models[verb], config, grid or [])
    extra = RESUME.get(verb, ())
    if print_ and json_:
        show_json([{"name": job.name, "run": str(job.folder), "words": job.words, "done": job.done()} for job in jobs])
        return
    if print_:
        for job in jobs:
            line = shlex.join(["ssl-skel", verb, str(config), *job.words, *extra])
            say(line + ("  # finished already" if job.done() else ""))
        return
    outcome = run_all(jobs, program(verb, config), extra)
    begun = [job.folder for job in jobs if (job.folder / "config.yaml").exists()]
    found = [run for folder in begun for run in find_runs(folder)[0]]
    if json_:
        show_json({"runs": [run.facts() for run in found], "failed": outcome.failed})
    else:
        listing.show(found)
    for line in outcome.failed:
        say(line, error=True)
    if outcome.stopped:
        say("stopped; the same command continues", error=True)
        raise SystemExit(128 + outcome.stopped)
    if outcome.failed:
        raise SystemExit(1)
