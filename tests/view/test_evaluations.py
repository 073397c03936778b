"""The page of an evaluation: the clips behind its confusion matrix, and what is said where they are not at hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.evaluation.answers import ANSWERS, Guess, measured, save_answers
from ssl_skel.evaluation.measures import FigureName
from ssl_skel.evaluation.report import Report, SplitFacts
from ssl_skel.view.evaluations import page_of_evaluation

TRAINED = ("pretrained", "linear, cached")


def evaluation(folder: Path, store: Store, splits: dict[str, slice], runs: int) -> Report:
    """Raw features beside pretrained ones, of which each run takes one more clip of a split for the next class."""
    measurements, answers = [], {}
    for features, measure, number in (("raw", "kNN, k = 1", 1), (*TRAINED, runs)):
        for split, chosen in splits.items():
            rows = np.arange(len(store))[chosen]
            guesses = []
            for run in range(number):
                scores = 5.0 * np.eye(store.num_classes)[store.label[rows]]
                scores[: run + 1] = np.roll(scores[: run + 1], 1, 1)
                guesses.append(Guess(rows, scores.argmax(1), scores))
            name = FigureName(split, features, measure)
            figure, answers[name] = measured(store, name, guesses)
            measurements.append(figure)
    report = Report(
        name="measured",
        store=str(store.path),
        sha256=store.sha256,
        class_names=store.class_names,
        splits=tuple(SplitFacts(name=split, train=1, test=1) for split in splits),
        measurements=tuple(measurements),
    )
    save_answers(folder, store, answers)
    report.save(folder)
    return report


def clips(page: str) -> list[dict[str, Any]]:
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return [{"name": clip["name"], **clip["facts"]} for clip in json.loads(data)["clips"]]


def test_a_cell_leads_to_its_clips(motions: Path, tmp_path: Path) -> None:
    store = Store.open(motions)
    evaluation(tmp_path, store, {"xview": slice(0, 8)}, runs=2)
    page = page_of_evaluation(tmp_path)
    assert "Missing here" not in page
    assert "Features: pretrained, linear, cached, split xview, summed over 2 runs." in page
    names = store.name[:8].tolist()
    shown = clips(page)
    got = [(clip["name"], clip["prediction"], clip.get("runs")) for clip in shown]
    assert got[:2] == [(names[0], "wrong", None), (names[1], "wrong", "1 of 2")]  # wrong by both runs, and by one
    assert got[2:] == [*((name, "right", None) for name in names[2:]), (names[1], "right", "1 of 2")]
    for cell in re.findall(r'data-filter="([^"]+)" title="([^:]+): (\d+) of', page):
        facts = json.loads(cell[0].replace("&quot;", '"'))
        found = [clip for clip in shown if facts.items() <= clip.items()]
        assert sum(int((clip.get("runs") or "2")[0]) for clip in found) == int(cell[2]), cell[1]
    assert all(re.fullmatch(r"\d+ %", clip["confidence"]) for clip in shown)


def test_folds_are_shown_together(motions: Path, tmp_path: Path) -> None:
    evaluation(
        tmp_path, Store.open(motions), {"fold1": slice(0, 8), "other": slice(0, 2), "fold2": slice(8, 20)}, runs=1
    )
    page = page_of_evaluation(tmp_path)
    assert "summed over 2 folds, 1 run each." in page
    shown = clips(page)
    assert len(shown) == 20
    assert [clip["prediction"] for clip in shown[:3]] == ["wrong", "wrong", "right"]


def test_what_is_missing_is_said(motions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(motions)
    report = evaluation(tmp_path, store, {"xview": slice(0, 8)}, runs=1)
    said = "Missing here:</strong> the clips behind the confusion matrix: "
    gone = report.model_copy(update={"store": "nowhere/store"})
    gone.save(tmp_path)
    assert f"{said}there is no longer a store at nowhere/store" in page_of_evaluation(tmp_path)
    assert said not in page_of_evaluation(tmp_path, motions)
    monkeypatch.setattr(Store, "open", lambda _: store.__class__(**{**vars(store), "label": store.label[::-1]}))
    assert "holds other clips than those of the evaluation" in page_of_evaluation(tmp_path, motions)
    gone.model_copy(update={"measurements": report.measurements[:1]}).save(tmp_path)
    answers = (tmp_path / ANSWERS).read_bytes()
    evaluation(tmp_path / "other", store, {"xview": slice(8, 20)}, runs=1)
    (tmp_path / ANSWERS).write_bytes((tmp_path / "other" / ANSWERS).read_bytes())
    assert f"{ANSWERS} does not fit the report" in page_of_evaluation(tmp_path, motions)
    with np.load(tmp_path / ANSWERS) as file:
        np.savez(tmp_path / ANSWERS, **(dict(file) | {"measure": np.array(["another", "measure"])}))
    assert f"{ANSWERS} does not fit the report" in page_of_evaluation(tmp_path, motions)
    (tmp_path / ANSWERS).write_bytes(answers[: len(answers) // 2])
    with pytest.raises(UserError, match=rf"{ANSWERS}: is damaged; repeat the evaluation"):
        page_of_evaluation(tmp_path)
    (tmp_path / ANSWERS).unlink()  # of an earlier release
    page = page_of_evaluation(tmp_path, motions)
    assert f"{ANSWERS} is not in {tmp_path}" in page
    assert "Most frequent confusions" in page


def test_answers_that_do_not_fit_each_other_are_damaged(motions: Path, tmp_path: Path) -> None:
    evaluation(tmp_path, Store.open(motions), {"xview": slice(0, 8)}, runs=1)
    with np.load(tmp_path / ANSWERS) as file:
        whole = dict(file)
    for change in (
        {"clip": whole["clip"] + 8},
        {"of": whole["of"] - 1},
        {"predicted": whole["predicted"][:-1]},
        {"confidence": whole["clip"]},
        {"measure": np.zeros(1, "<U9999")},
        {"name": whole["name"][:, None]},
    ):
        np.savez(tmp_path / ANSWERS, **(whole | change))
        with pytest.raises(UserError, match="is damaged"):
            page_of_evaluation(tmp_path)
