"""A run directory summarised without its weights: which run it is, its progress, its figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ssl_skel.encoders.card import CARD
from ssl_skel.errors import UserError
from ssl_skel.evaluation.report import Figure, Measurement, Report, kind_of
from ssl_skel.plain_json import parse_json
from ssl_skel.same_run import flat
from ssl_skel.training.checkpoint_folder import newest_checkpoint, read_state
from ssl_skel.training.rundir import RunDir

ONLINE = ("knn_1", "knn_1_raw", "linear", "rankme", "uniformity", "alignment", "feature_std", "shortcut")
"""Figures that a pretraining run logs on its way. Accuracies are of test clips: for monitoring, not for choosing."""

CARDS = (CARD, f"encoder/{CARD}")
"""Where the card of an encoder may be, given the encoder's folder or its run's."""


@dataclass(frozen=True)
class RunRecord:
    """One run, summarised.

    Attributes:
        path: its folder.
        kind: ``pretrain`` or ``finetune``.
        state: ``finished``; ``stopped``, or still running, which looks the same; or ``never`` if there is neither a
            checkpoint nor a report.
        config: as resolved.
        pretext: name of the pretext, with + between the parts of a combination; of an evaluation: of its encoders.
        splits: pretrained on, or evaluated on.
        step, steps: of optimisation, done and in all; None without a checkpoint.
        epochs: that are in the log; None for an evaluation.
        seconds: wall-clock time, as logged.
        loss: last logged.
        figures: the newest online figures, or accuracies of a report, by ``split, measure``.
        texts: the same as text, the most important ones.
    """

    path: Path
    kind: Literal["pretrain", "finetune"]
    state: Literal["finished", "stopped", "never"]
    config: dict[str, Any]
    pretext: str
    splits: tuple[str, ...]
    step: int | None = None
    steps: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    loss: float | None = None
    figures: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the folder; a run may have been moved since its config was named."""
        return self.path.name

    def facts(self) -> dict[str, Any]:
        """Everything but the config, ready for JSON."""
        names = ("name", "kind", "state", "pretext", "step", "steps", "epochs", "seconds", "loss", "figures")
        return {"path": str(self.path), "splits": list(self.splits)} | {name: getattr(self, name) for name in names}

    def get(self, key: str) -> Any:
        """A fact, a figure, or a value of the config by its dotted key; None if it is missing."""
        return ({**flat(self.config), **self.figures} | self.facts()).get(key)


def read_run(path: Path) -> RunRecord:
    """Summarise a run. Reads text only; nothing is unpickled, no weights are touched.

    Raises:
        UserError: it is not a run, or is damaged.
    """
    try:
        run = RunDir.open(path)
        if "pretext" in run.config:
            return _pretraining(run)
        if "protocols" in run.config:
            return _evaluation(run)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: is damaged ({error!r})") from error
    raise UserError(f"{path / 'config.yaml'}: is of neither pretrain nor finetune")


def headline(report: Report) -> list[Measurement]:
    """What an evaluation is about: of each split and measure the rows that are not baselines of another row."""
    first: dict[tuple[str, str], int] = {}
    for row in report.measurements:
        at = row.split, row.measure
        first[at] = min(standing(row), first.get(at, standing(row)))
    return [row for row in report.measurements if standing(row) == first[row.split, row.measure]]


def standing(row: Measurement) -> int:
    """0: a pretrained encoder. 1: the same recipe from fresh weights. 2: raw coordinates, or untrained weights.
    A row with a higher number serves as comparison for those with a lower one.
    """
    return {"scratch": 1, "raw": 2, "untrained": 2}.get(kind_of(row.features), 0)


def pretext_name(pretext: Any) -> str:
    """Name of a pretext's config, with + between the parts of a combination; "" for none."""
    if not pretext:
        return ""
    parts = [part["pretext"] for part in pretext.get("parts", ())]
    return "+".join(pretext_name(part) for part in parts) if parts else str(pretext["name"])


def read_card(encoder: str | Path) -> dict[str, Any]:
    """Card of an encoder as plain data, given its folder or its run's; empty if it cannot be read."""
    for place in CARDS:
        try:
            card = parse_json((Path(encoder) / place).read_bytes())
        except (OSError, ValueError):
            continue
        return card if isinstance(card, dict) else {}
    return {}


def encoder_paths(config: dict[str, Any]) -> list[str]:
    """Paths of the encoders that an evaluation's config names, each once; none for other runs."""
    chosen = (config.get("encoders") or {}).values()
    return list(dict.fromkeys(path for paths in chosen for path in ([paths] if isinstance(paths, str) else paths)))


def _pretraining(run: RunDir) -> RunRecord:
    config, records, checkpoint = run.config, run.records(), newest_checkpoint(run.checkpoints)
    state = read_state(checkpoint) if checkpoint else None
    evaluated = [record for record in records if any(record.get(name) is not None for name in ONLINE)]
    figures = {name: evaluated[-1][name] for name in ONLINE if evaluated and evaluated[-1].get(name) is not None}
    return RunRecord(
        path=run.path,
        kind="pretrain",
        state="finished" if (run.encoder / CARD).is_file() else "stopped" if state else "never",
        config=config,
        pretext=pretext_name(config["pretext"]),
        splits=(config["data"]["split"],),
        step=state["step"] if state else None,
        steps=state["steps_per_epoch"] * config["train"]["epochs"] if state else None,
        epochs=records[-1]["epoch"] if records else 0,
        seconds=sum(record.get("seconds") or 0.0 for record in records),
        loss=records[-1]["loss"] if records else None,
        figures=figures,
        texts={name: _in_words(name, figures[name]) for name in ONLINE[:4] if name in figures},
    )


def _evaluation(run: RunDir) -> RunRecord:
    config = run.config
    names = dict.fromkeys(pretext_name(read_card(path).get("pretext")) for path in encoder_paths(config))
    report = Report.load(run.path) if (run.path / "report.json").exists() else None
    figures: dict[str, Figure] = {}
    for row in headline(report) if report else ():
        figures.setdefault(f"{row.split}, {row.measure}", row.figures["accuracy"])
    return RunRecord(
        path=run.path,
        kind="finetune",
        state="finished" if report else "never",
        config=config,
        pretext=", ".join(name for name in names if name),
        splits=tuple(config.get("encoders") or (config.get("scratch") or {}).get("splits", ())),
        seconds=report.seconds if report else None,
        figures={name: figure.mean for name, figure in figures.items()},
        texts={name: str(figure) for name, figure in figures.items()},
    )


def _in_words(name: str, value: float) -> str:
    return f"{100 * value:.1f}" if name.startswith(("knn", "linear")) else f"{value:.3g}"
