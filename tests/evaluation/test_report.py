"""Reports: round trip, the page, folds, leaks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from ssl_skel.errors import UserError
from ssl_skel.evaluation.folds import FOLDS, fold_means
from ssl_skel.evaluation.leaks import leaks
from ssl_skel.evaluation.metrics import score
from ssl_skel.evaluation.report import Figure, Measurement, Report, SplitFacts
from ssl_skel.evaluation.scores import Scores

TRUTH = np.array([0, 0, 1, 1])


def measurement(split: str, features: str, *predictions: list[int], **others) -> Measurement:
    runs = [score(TRUTH, np.array(predicted), 2) for predicted in predictions]
    return Measurement.of(split, features, "kNN, k = 1", runs, **others)


@pytest.fixture
def report() -> Report:
    rows = (
        measurement("xview", "raw", [0, 1, 0, 0]),
        measurement("xview", "pretrained", [0, 0, 1, 0], [0, 0, 1, 1], notes=("C = 1",)),
        measurement("xsub", "raw", [0, 1, 0, 1]),
    )
    facts = (
        SplitFacts(
            name="xview", train=9, test=4, encoders=("runs/a",), pretrained_on="xview of s", warnings=("5 copies",)
        ),
        SplitFacts(name="xsub", train=8, test=5),
    )
    return Report(
        name="ours",
        store="stores/s",
        sha256="ab" * 32,
        class_names=("wave", "clap"),
        splits=facts,
        measurements=rows,
        command="ssl-skel finetune x.yaml",
        versions={"torch": "2.11"},
    )


def test_round_trip(report: Report, tmp_path: Path) -> None:
    report.save(tmp_path / "run")
    assert Report.load(tmp_path / "run") == report
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["report.json", "report.md"]
    plain = json.loads((tmp_path / "run" / "report.json").read_text())
    assert plain["measurements"][1]["figures"]["accuracy"] == {
        "mean": 0.875,
        "std": pytest.approx(0.1767767),
        "count": 2,
        "over": "seeds",
    }


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"report\.json: No such file"):
        Report.load(tmp_path)
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(UserError, match="damaged"):
        Report.load(tmp_path)


def test_figures(report: Report) -> None:
    assert str(report.figure("xview", "raw", "kNN, k = 1")) == "25.0"
    assert str(report.figure("xview", "pretrained", "kNN, k = 1")) == "87.5 ± 17.7"
    with pytest.raises(KeyError):
        report.figure("xview", "untrained", "kNN, k = 1")


def test_the_page_says_what_a_reader_needs(report: Report) -> None:
    page = report.to_markdown()
    lines = [" ".join(line.split()) for line in page.splitlines()]
    assert lines[0] == "# ours"
    assert lines[2] == "> **Warning**, xview: 5 copies."
    assert "| measure | features | xview | xsub |" in lines
    assert "| train / test clips | | 9 / 4 | 8 / 5 |" in lines
    assert "| kNN, k = 1 | raw | 25.0 | 50.0 |" in lines
    assert "| | **pretrained** | **87.5 ± 17.7** | **-** |" in lines
    assert "| clap | 75.0 ± 35.4 | wave (1 of 4) |" in lines
    assert "| wave | 100.0 ± 0.0 | |" in lines
    for words in (
        "## Macro F1, %",
        "last epoch",
        "C = 1 (xview/pretrained",
        "`ssl-skel finetune x.yaml`",
        "torch 2.11",
    ):
        assert words in page
    assert "Top-5" not in page
    widths = {len(line) for line in page.split("## Macro")[0].splitlines() if line.startswith("|")}
    assert len(widths) == 1  # columns line up as plain text too


def test_the_gain_is_over_the_strongest_baseline(report: Report) -> None:
    rows = (
        measurement("xview", "raw_box", [0, 0, 1, 0]),
        measurement("xview", "untrained", [0, 0, 0, 0]),
        measurement("xview", "scratch", [1, 1, 0, 0]),
        measurement("xsub", "pretrained", [0, 1, 0, 0]),
    )
    more = report.model_copy(update={"measurements": (*report.measurements, *rows)})
    assert report.gain("xview", "kNN, k = 1") == (0.625, "raw")
    assert report.gain("xsub", "kNN, k = 1") is None  # nothing pretrained
    assert more.gain("xview", "kNN, k = 1") == (0.125, "raw_box")
    assert more.gain("xsub", "kNN, k = 1") == (-0.25, "raw")
    last = more.table()[-1]
    assert last == ["kNN, k = 1", "gain over the strongest baseline", "+12.5 (raw_box)", "-25.0 (raw)"]
    alone = report.model_copy(update={"measurements": report.measurements[1:2]})
    assert [row[1] for row in alone.table()] == ["features", "pretrained"]
    assert "gain" not in str(more.table("macro_f1"))


def test_best_on_test_is_never_the_headline(report: Report) -> None:
    row = measurement("xview", "live", [0, 0, 1, 0], figures={"best_on_test": Figure.of([0.9])})
    page = report.model_copy(update={"measurements": (row,)}).to_markdown()
    headline, _, rest = page.partition("## Best epoch on the test clips, %")
    assert "75.0" in headline
    assert "90.0" not in headline
    assert "90.0" in rest


def test_showing_it_names_warnings_and_figures(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    report.show()
    shown = capsys.readouterr().out
    assert "xview: 5 copies" in shown
    assert "87.5 ± 17.7" in shown


def test_no_name_acts_on_the_terminal(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tuple(row.model_copy(update={"features": "\x1b[2J"}) for row in report.measurements)
    report.model_copy(update={"name": "\x1b]0;", "measurements": rows}).show()
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert r"\x1b" in printed


def test_folds_are_averaged_and_other_splits_are_not() -> None:
    right = {"fold1": [0, 0, 1, 1], "fold2": [0, 0, 1, 0], "xview": [1, 1, 0, 0]}
    mean = fold_means([measurement(split, "raw", predicted) for split, predicted in right.items()])
    assert [(row.split, row.features, row.runs) for row in mean] == [(FOLDS, "raw", ())]
    figure = mean[0].figures["accuracy"]
    assert (figure.mean, figure.count, figure.over) == (0.875, 2, "folds")
    assert figure.std == pytest.approx(np.std([1, 0.75], ddof=1))
    assert fold_means([measurement("fold1", "raw", [0, 0, 1, 1])]) == []
    clean = {"fold1_dedup": [0, 0, 1, 0], "fold2_dedup": [0, 0, 0, 0]}
    both = fold_means([measurement(split, "raw", predicted) for split, predicted in (right | clean).items()])
    assert [(row.split, row.figures["accuracy"].mean) for row in both] == [(FOLDS, 0.875), (f"{FOLDS}, dedup", 0.625)]


def test_pooling_is_as_if_all_had_been_measured_at_once() -> None:
    values = [0.2, 0.5, 0.6, 0.9]
    one, two = Figure.of(values[:3]), Figure.of(values[3:])
    for pooled in (one.pooled(two), two.pooled(one)):
        assert (pooled.mean, pooled.std, pooled.count) == pytest.approx((np.mean(values), np.std(values, ddof=1), 4))
    first, second = (
        measurement("xview", "raw", [0, 0, 1, right], figures={"mAP": Figure.of([0.5 + right])}) for right in (0, 1)
    )
    both = first.pooled(second)
    assert both.figures["mAP"].mean == 1.0
    assert both.figures["accuracy"].mean == pytest.approx(0.875)
    assert len(both.runs) == 2


def test_a_narrow_terminal_costs_no_digit(report: Report, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    splits = [f"fold{number}" for number in range(1, 8)]
    rows = tuple(measurement(split, "pretrained", [0, 0, 1, 0]) for split in splits)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    report.model_copy(update={"measurements": rows}).show()
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert shown.count("75.0") == len(splits)


def test_leaks_are_found_by_content_and_by_name() -> None:
    names = np.array(["a", "b", "c", "d", "e"])
    content = np.array([2**64 - 1, 2, 2**64 - 1, 4, 5], np.uint64)
    rows = {"train": np.array([0, 1]), "test": np.array([2, 3, 4])}
    assert leaks(names, content, train=rows["train"], test=rows["test"][1:]) == ()
    (copies,) = leaks(names, content, **rows)
    assert copies.startswith("1 of 3 test clips are copies of training clips")
    seen = leaks(names, content, train=rows["train"], test=rows["test"][1:], seen_names=["d", "z"], seen_content=[9])
    assert seen[0].startswith("1 of 2 test clips were seen in pretraining")
    both = leaks(names, content, **rows, seen_names=["e"], seen_content=content[[3, 0]])
    assert both[1].startswith("3 of 3 test clips were seen in pretraining")


def test_the_interval_is_shown_and_is_of_the_test_clips(report: Report) -> None:
    assert report.table("interval")[1:] == [
        ["kNN, k = 1", "raw", "0.0-75.0", "0.0-100.0"],
        ["kNN, k = 1", "pretrained", "62.5-100.0", "-"],
    ]
    assert "95 % bootstrap interval" in report.to_markdown()


def test_a_confusion_matrix_is_square() -> None:
    with pytest.raises(ValueError, match="a row and a column for each class"):
        Scores(accuracy=1.0, macro_f1=1.0, per_class=(1.0, 1.0), confusion=((1, 0), (1,)))


def test_figures_hold_an_accuracy() -> None:
    with pytest.raises(ValueError, match="there is no accuracy"):
        Measurement(split="xsub", features="raw", measure="kNN, k = 1", figures={"macro_f1": Figure(mean=1.0)})


def test_a_warning_that_splits_share_stands_once(report: Report) -> None:
    facts = report.splits[0]
    splits = [facts.model_copy(update={"name": f"fold{at}", "warnings": ("alike", f"own {at}")}) for at in (1, 2)]
    text = report.model_copy(update={"splits": tuple(splits)}).to_markdown()
    assert text.count("alike.") == 1
    assert "> **Warning**, all 2 splits: alike." in text
    assert "> **Warning**, fold2: own 2." in text
