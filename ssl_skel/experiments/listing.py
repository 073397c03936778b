"""Lists of runs: filtered, sorted, with the keys in which their configs differ; as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ssl_skel.console import show_table
from ssl_skel.errors import UserError
from ssl_skel.escaping import say
from ssl_skel.experiments.record import RunRecord
from ssl_skel.names import nearest
from ssl_skel.plain_yaml import read_yaml
from ssl_skel.same_run import flat


def select(runs: Sequence[RunRecord], where: Sequence[str] = (), pretext: str = "", split: str = "") -> list[RunRecord]:
    """Runs that fit all filters.

    Args:
        runs: to choose from.
        where: ``key=value``; the key is one of the config, dotted, or a fact such as ``state``; the value is YAML.
        pretext: name of a pretext, also as part of a combination.
        split: pretrained on, or evaluated on.

    Raises:
        UserError: no run has the key.
    """
    chosen = list(runs)
    for word in where:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise UserError(f"--where {word!r}: must be written key=value")
        _check_key(key, runs)
        value = read_yaml(text, f"--where {key}")
        chosen = [run for run in chosen if run.get(key) in (value, text)]
    if pretext:
        chosen = [run for run in chosen if pretext in run.pretext.replace(", ", "+").split("+")]
    return [run for run in chosen if not split or split in run.splits]


def sort(runs: Sequence[RunRecord], key: str, reverse: bool = False) -> list[RunRecord]:
    """Runs by a fact, a figure or a config's value; those without it last, in either direction.

    Raises:
        UserError: no run has the key.
    """
    _check_key(key, runs)

    def rank(run: RunRecord) -> tuple[bool, float, str]:
        value = run.get(key)
        number = isinstance(value, int | float)
        return (not number, value if number else 0.0, "" if number else str(value))

    known = [run for run in runs if run.get(key) is not None]
    return sorted(known, key=rank, reverse=reverse) + [run for run in runs if run.get(key) is None]


def differences(runs: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """Config keys in which runs differ, with each run's value (None where it has no such key); names do not count."""
    configs = [flat(run.config) for run in runs]
    keys = dict.fromkeys(key for config in configs for key in config if key not in ("name", "runs"))
    values = {key: [config.get(key) for config in configs] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def show(runs: Sequence[RunRecord]) -> None:
    """Print runs as a table."""
    rows = [
        {
            "run": run.name,
            "kind": run.kind,
            "pretext": run.pretext or "-",
            "split": ", ".join(run.splits) or "-",
            "state": _state(run),
            "epochs": _or_dash(run.epochs, "{}"),
            "minutes": _or_dash(run.seconds and run.seconds / 60, "{:.1f}"),
            "loss": _or_dash(run.loss, "{:.4g}"),
            "figures (accuracies in %)": _figures(run),
        }
        for run in runs
    ]
    header = [*rows[0]] if rows else []
    show_table(header, [[*row.values()] for row in rows], numbers=("epochs", "minutes", "loss"))


def show_differences(runs: Sequence[RunRecord]) -> None:
    """Print the keys in which runs differ, one row per key and one column per run."""
    found = differences(runs)
    if not found:
        say("the configs do not differ")
        return
    rows = [
        [key, *("-" if value is None else json.dumps(value, ensure_ascii=False) for value in values)]
        for key, values in found.items()
    ]
    show_table(["key", *(run.name for run in runs)], rows)


def _check_key(key: str, runs: Sequence[RunRecord]) -> None:
    known = dict.fromkeys(name for run in runs for name in (*run.facts(), *run.figures, *flat(run.config)))
    if runs and key not in known:
        raise UserError(f"{key}: no run has that key{nearest(key, known)}")


def _state(run: RunRecord) -> str:
    if run.state == "stopped":
        return f"stopped at step {run.step} of {run.steps}"
    if run.state == "never":
        return "no report" if run.kind == "finetune" else "no checkpoint"
    return run.state


def _figures(run: RunRecord, most: int = 4) -> str:
    """The first figures; JSON has them all."""
    words = [f"{name} {value}" for name, value in run.texts.items()]
    return "; ".join(words[:most]) + (f"; {len(words) - most} more" if len(words) > most else "") or "-"


def _or_dash(value: Any, form: str) -> str:
    return "-" if value is None else form.format(value)
