"""The contents of an evaluation: its tables, and the clips behind its confusion matrix."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ssl_skel.data.store import Store
from ssl_skel.evaluation.answers import ANSWERS, Answers, load_answers
from ssl_skel.evaluation.folds import mean_of
from ssl_skel.evaluation.report import Measurement, Report, kind_of
from ssl_skel.view.clips import shown
from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.report_page import Leading, report_page
from ssl_skel.view.draw.run_pages import Recipe
from ssl_skel.view.runs import MARKS, date_of, text_of


def page_of_evaluation(path: Path, store: Path | None = None, fps: float | None = None) -> str:
    """Page of what ``ssl-skel finetune`` left in a folder; missing parts are left out and named.

    Args:
        path: the folder.
        store: present path of its clips; default: the one in its report.
        fps: frames a second of the recordings; default: see ``shown``.

    Raises:
        UserError: no report there, a damaged report or damaged answers, or no store at ``store``.
    """
    report, config = Report.load(path), path / "config.yaml"
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    facts = {"command": report.command, "date": date_of(path / "report.json")}
    facts |= {"store": f"{report.store}, sha256 {report.sha256[:12]}"}
    facts |= {"time": f"{report.seconds:.0f} s", "versions": versions}
    recipe = Recipe(facts, text_of(config) if config.is_file() else "")
    rows = leading_rows(report.measurements)
    return report_page(report, recipe, _leading(path, rows, report, store, fps) if rows else None)


def leading_rows(measurements: Sequence[Measurement]) -> list[Measurement]:
    """The first figure with single runs of the best-informed features; where it is of a fold, that of all folds."""
    for kind in ("pretrained", "scratch", "untrained", "raw"):
        for first in measurements:
            if first.runs and kind_of(first.features) == kind:
                mean = mean_of(first.split)
                same = [row for row in measurements if row.runs and row.figure_name[1:] == first.figure_name[1:]]
                return [row for row in same if mean_of(row.split) == mean] if mean else [first]
    return []


def _leading(path: Path, rows: Sequence[Measurement], report: Report, store: Path | None, fps: float | None) -> Leading:
    runs = f"{len(rows[0].runs)} {'run' if len(rows[0].runs) == 1 else 'runs'}"
    over = f"split {rows[0].split}, summed over {runs}"
    if len(rows) > 1:
        over = f"summed over {len(rows)} folds, {runs} each"
    leading = Leading(
        note=f"Features: {rows[0].features}, {rows[0].measure}, {over}.",
        confusion=np.sum([run.confusion for row in rows for run in row.runs], 0),
    )
    found = [load_answers(path, row.figure_name) for row in rows]
    answers = [one for ones in found for one in ones or ()]
    place = store or Path(report.store)
    if None in found:
        missing = f"{ANSWERS} is not in {path}. The command below writes it."
    elif not _are_of(answers, leading.confusion):
        missing = f"{path / ANSWERS} does not fit the report. The command below writes both."
    elif store is None and not (place / "meta.json").is_file():
        missing = f"there is no longer a store at {place}. Give its present path with --store."
    else:
        opened = Store.open(place)
        if _fits(opened, answers):
            clips, total = _clips(opened, answers, report.class_names, fps)
            return replace(leading, clips=clips, total=total)
        missing = f"{place} holds other clips than those of the evaluation."
    return replace(leading, missing=f"the clips behind the confusion matrix: {missing}")


def _are_of(answers: Sequence[Answers], confusion: np.ndarray) -> bool:
    """Whether the answers are those that a confusion matrix counts."""
    counted, classes = np.zeros_like(confusion), len(confusion)
    for one in answers:
        if not ((one.label >= 0) & (one.label < classes) & (one.predicted >= 0) & (one.predicted < classes)).all():
            return False
        np.add.at(counted, (one.label, one.predicted), 1)
    return np.array_equal(counted, confusion)


def _fits(store: Store, answers: Sequence[Answers]) -> bool:
    """Whether all clips are there, with the classes that they had."""
    known = dict(zip(store.name.tolist(), store.label.tolist(), strict=True))
    return all(
        known.get(name) == label
        for one in answers
        for name, label in zip(one.clips.tolist(), one.label.tolist(), strict=True)
    )


def _clips(
    store: Store, answers: Sequence[Answers], names: Sequence[str], fps: float | None
) -> tuple[list[RenderableClip], int]:
    """A clip for each class that it was given, the wrong ones first, and how many there are; ``MARKS`` are shown."""
    row_of = {name: row for row, name in enumerate(store.name.tolist())}
    given: dict[tuple[int, int], list[float]] = defaultdict(list)
    for one in answers:
        rows = [row_of[name] for name in one.clips.tolist()]
        for row, predicted, sure in zip(rows, one.predicted.tolist(), one.confidence.tolist(), strict=True):
            given[row, predicted].append(sure)
    runs: Counter[int] = Counter()
    for (row, _), values in given.items():
        runs[row] += len(values)
    wrong_first = sorted(given, key=lambda key: (store.label[key[0]] == key[1], -np.nansum(given[key]), key))
    clips = []
    for row, predicted in wrong_first[:MARKS]:
        values = given[row, predicted]
        facts = {"predicted": names[predicted]}
        facts["prediction"] = "right" if store.label[row] == predicted else "wrong"
        if np.isfinite(values).all():
            facts["confidence"] = f"{100 * np.mean(values):.0f} %"
        if len(values) < runs[row]:
            facts["runs"] = f"{len(values)} of {runs[row]}"
        clips.append(shown(store, row, facts, fps))
    return clips, len(given)
