"""One table over many evaluations: encoder x protocol x split, with baselines and published figures next to it.

Evaluations of the same recipe with other seeds are pooled. Nothing else is: another store, another split or other
numbers of clips, another config of pretraining or evaluation, or a seed that occurs already makes a row of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ssl_skel.config import read_mapping
from ssl_skel.errors import UserError
from ssl_skel.evaluation.folds import FOLDS, is_deduplicated
from ssl_skel.evaluation.report import Figure, Measurement, Report, kind_of
from ssl_skel.experiments.anchors import Anchor, anchors_for, dataset_of
from ssl_skel.experiments.record import headline, pretext_name, read_card, standing
from ssl_skel.same_run import FREE, completed, recipe

_NOT_RECIPE = FREE | {"name", "seed", "seeds", "encoders", "device", "data.batch_size", "protocols.*.save"}


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the table.

    Attributes:
        pretext: of the encoders, ``scratch``, or the name of a baseline on its own.
        encoder: backbone and stream; "" where no card or config records them.
        store, sha256, split, train, test: which clips; no numbers for a mean of folds.
        measurement: figures, over all seeds that were pooled.
        baselines: accuracies on the same clips by the same measure.
        published: figures of others.
        warnings: reasons to doubt the figures.
        runs, commands: evaluations that the row is from, and the command that repeats each.
        seeds: of the pooled figures, where configs record them.
    """

    pretext: str
    encoder: str
    store: str
    sha256: str
    split: str
    train: int | None
    test: int | None
    measurement: Measurement
    baselines: dict[str, Figure]
    published: tuple[Anchor, ...]
    warnings: tuple[str, ...]
    runs: tuple[str, ...]
    commands: tuple[str, ...]
    seeds: frozenset[Any] = field(default_factory=frozenset)

    @property
    def protocol(self) -> str:
        """The measure, as reports name it."""
        return self.measurement.measure

    @property
    def accuracy(self) -> Figure:
        """Over all seeds that were pooled."""
        return self.measurement.figures["accuracy"]


def compare(paths: Sequence[Path]) -> list[Row]:
    """Rows over evaluations, in the order of their stores, splits, measures and runs.

    Args:
        paths: run directories of ``ssl-skel finetune``; one that is given twice counts once.

    Raises:
        UserError: a path holds no report, or a damaged one.
    """
    groups: dict[Any, list[Row]] = {}
    config_of = cache(_config)  # evaluations share encoders
    given: dict[str, Path] = {}
    for path in paths:
        given.setdefault(os.path.realpath(path), path)
    for path in given.values():
        for key, row in _rows(path, config_of):
            pool = groups.setdefault(key, [])
            at = next((at for at, other in enumerate(pool) if _poolable(other, row)), None)
            if at is None:
                pool.append(row)
            else:
                pool[at] = _pooled(pool[at], row)
    rows = [row for pool in groups.values() for row in pool]
    order = {name: list(dict.fromkeys(getattr(row, name) for row in rows)) for name in ("sha256", "split", "protocol")}
    return sorted(rows, key=lambda row: [known.index(getattr(row, name)) for name, known in order.items()])


def _rows(path: Path, config_of: Callable[[Path], dict[str, Any]]) -> Iterable[tuple[Any, Row]]:
    """Rows of one evaluation, each with what must be equal for rows to be pooled."""
    report, config = Report.load(path), config_of(path)
    dataset, here = dataset_of(report), str(path.resolve())
    facts = {split.name: split for split in report.splits}
    for row in headline(report):
        split = facts.get(row.split)
        encoders = split.encoders if split else tuple(path for one in report.splits for path in one.encoders)
        origin = _origin(row, encoders, config, config_of)
        clips = (split.train, split.test) if split else tuple((one.name, one.train, one.test) for one in report.splits)
        recipes = origin.recipe or here, _recipe(config) if config else here
        yield (
            (report.sha256, row.split, clips, row.features, row.measure, *recipes),
            Row(
                pretext=origin.pretext,
                encoder=origin.encoder,
                store=Path(report.store).name,
                sha256=report.sha256,
                split=row.split,
                train=split.train if split else None,
                test=split.test if split else None,
                measurement=row,
                baselines=_baselines(report, row),
                published=anchors_for(dataset, row),
                warnings=split.warnings if split else _warnings_of_folds(report, row),
                runs=(str(path),),
                commands=(report.command,),
                seeds=origin.seeds,
            ),
        )


@dataclass(frozen=True)
class _Origin:
    """What is behind one measurement.

    Attributes:
        pretext, encoder, seeds: as in ``Row``.
        recipe: equal for encoders that differ only in seeds and names; "" if it is unknown.
    """

    pretext: str
    encoder: str = ""
    recipe: str = ""
    seeds: frozenset[Any] = frozenset()


def _origin(
    row: Measurement, encoders: tuple[str, ...], config: dict[str, Any], config_of: Callable[[Path], dict[str, Any]]
) -> _Origin:
    """Origin of a measurement on these encoders, by an evaluation of this config."""
    if standing(row) == 2:  # a baseline on its own, as nothing else was measured
        return _Origin(row.features)
    if scratch := config.get("scratch"):
        network = _network(scratch["backbone"], scratch["stream"])
        return _Origin("scratch", network, "scratch", frozenset(config["seeds"]))
    if not encoders:
        return _Origin(row.features)
    cards = [read_card(path) for path in encoders]
    network = _network(cards[0].get("backbone", {}), cards[0].get("stream", ""))
    if kind_of(row.features) == "scratch":  # trained from fresh weights, where a measure has no pretrained ones
        return _Origin("scratch", network)
    names = dict.fromkeys(pretext_name(card.get("pretext")) or "?" for card in cards)
    configs = [config_of(Path(path)) for path in encoders]
    seeds = frozenset(one.get("seed") for one in configs)
    return _Origin(", ".join(names), network, _pretraining_recipe(configs, cards), seeds)


def _pretraining_recipe(configs: list[dict[str, Any]], cards: list[dict[str, Any]]) -> str:
    """The recipe that all encoders share, by configs and cards of their runs; "" where one is unknown or differs."""
    if not (all(configs) and all(cards)):
        return ""
    recipes = {
        _recipe(config) + json.dumps([card.get("data"), card.get("init")], sort_keys=True)
        for config, card in zip(configs, cards, strict=True)
    }
    return recipes.pop() if len(recipes) == 1 else ""


def _network(backbone: dict[str, Any], stream: str) -> str:
    return " ".join(str(word) for word in (backbone.get("name"), backbone.get("size"), stream) if word)


def _config(path: Path) -> dict[str, Any]:
    """Config kept in a run directory, as this release would write it; empty if it cannot be read."""
    try:
        config = read_mapping(path / "config.yaml")
    except (OSError, ValueError, UserError):
        return {}
    verb = "pretrain" if "pretext" in config else "finetune"
    with suppress(UserError):  # a fusion, or of a release that knew other options
        return completed(config, _model(verb), str(path))
    return config


@cache
def _model(verb: str) -> type[BaseModel]:
    return entry_points(group="ssl_skel.configs")[verb].load()


def _recipe(config: dict[str, Any]) -> str:
    """What two runs have in common if they differ only in seeds and names."""
    return recipe(config, _NOT_RECIPE)


def _baselines(report: Report, row: Measurement) -> dict[str, Figure]:
    return {
        other.features: other.figures["accuracy"]
        for other in report.measurements
        if (other.split, other.measure) == (row.split, row.measure) and standing(other) > standing(row)
    }


def _warnings_of_folds(report: Report, row: Measurement) -> tuple[str, ...]:
    if not row.split.startswith(FOLDS):
        return ()
    mine = [split for split in report.splits if is_deduplicated(split.name) == is_deduplicated(row.split)]
    return tuple(f"{split.name}: {warning}" for split in mine for warning in split.warnings)


def _poolable(one: Row, other: Row) -> bool:
    """Whether seeds of one recipe may be put together: each is known, and none occurs twice."""
    return bool(
        one.seeds and other.seeds and not one.seeds & other.seeds and one.measurement.runs and other.measurement.runs
    )


def _pooled(one: Row, other: Row) -> Row:
    """Both rows as one; the baselines are the first one's."""
    return replace(
        one,
        measurement=one.measurement.pooled(other.measurement),
        warnings=tuple(dict.fromkeys((*one.warnings, *other.warnings))),
        runs=one.runs + other.runs,
        commands=one.commands + other.commands,
        seeds=one.seeds | other.seeds,
    )
