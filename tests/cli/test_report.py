"""``ssl-skel report``: what is pooled and what is kept apart, what stands beside, and the four formats."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from finetune.config import FinetuneConfig
from ssl_skel.cli.experiments import report
from ssl_skel.errors import UserError
from ssl_skel.evaluation.folds import fold_means
from ssl_skel.evaluation.metrics import score
from ssl_skel.evaluation.report import Measurement, Report, SplitFacts
from ssl_skel.experiments.anchors import anchors_for, dataset_of, load_anchors
from ssl_skel.experiments.comparison import Row, compare
from ssl_skel.experiments.formats import FORMATS

app = typer.Typer()
app.command()(report)
TRUTH = np.arange(20) % 2


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def scores(right: int) -> Any:
    """Scores of 20 clips, so many of them right."""
    return score(TRUTH, np.where(np.arange(20) < right, TRUTH, 1 - TRUTH), 2)


class Desk:
    """Writes encoders and evaluations of them below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def encoder(self, name: str, seed: int = 0, **changes: Any) -> Path:
        path = self.folder / name
        (path / "encoder").mkdir(parents=True)
        config = {"name": name, "pretext": {"name": "psp"}, "optim": {"lr": 0.1}, "seed": seed} | changes
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        card = {"pretext": config["pretext"], "backbone": {"name": "mpae_net", "size": "tiny"}, "stream": "bone"}
        card |= {"data": {"sha256": "ab"}}
        (path / "encoder" / "card.json").write_text(json.dumps(card))
        return path

    def evaluation(
        self,
        name: str,
        encoder: Path,
        right: int,
        *,
        split: str = "xview",
        sha256: str = "ab",
        test: int = 20,
        warnings: tuple[str, ...] = (),
        pooling: str = "mean",
        measure: str = "linear, cached",
        store: str = "stores/none",
    ) -> Path:
        path = self.folder / name
        path.mkdir()
        config = {"name": name, "encoders": {split: [str(encoder)]}, "pooling": pooling, "protocols": [{"name": "x"}]}
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        Report(
            name=name,
            store=store,
            sha256=sha256,
            class_names=("a", "b"),
            splits=(SplitFacts(name=split, train=40, test=test, encoders=(str(encoder),), warnings=warnings),),
            measurements=(
                Measurement.of(split, "raw", measure, [scores(11)]),
                Measurement.of(split, "untrained", measure, [scores(12), scores(14)]),
                Measurement.of(split, "pretrained", measure, [scores(right)]),
            ),
            command=f"ssl-skel finetune {name}.yaml 'x=50%'",
        ).save(path)
        return path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def figures(rows: list[Row]) -> list[tuple[str, int]]:
    return [(str(row.measurement.figures["accuracy"]), row.measurement.figures["accuracy"].count) for row in rows]


def test_seeds_of_one_recipe_are_pooled(desk: Desk) -> None:
    runs = [desk.evaluation(f"e{seed}", desk.encoder(f"p{seed}", seed), 14 + seed) for seed in range(3)]
    (row,) = compare(runs)
    accuracy = row.measurement.figures["accuracy"]
    values = np.array([14, 15, 16]) / 20
    assert (accuracy.mean, accuracy.std, accuracy.count) == (
        pytest.approx(values.mean()),
        pytest.approx(values.std(ddof=1)),
        3,
    )
    assert (row.pretext, row.encoder, row.split, row.protocol) == (
        "psp",
        "mpae_net tiny bone",
        "xview",
        "linear, cached",
    )
    assert row.seeds == {0, 1, 2}
    assert len(row.commands) == len(row.runs) == 3
    assert {name: str(figure) for name, figure in row.baselines.items()} == {"raw": "55.0", "untrained": "65.0 ± 7.1"}
    assert compare([runs[0], runs[0], desk.folder / "p0" / ".." / "e0"])[0].measurement.figures["accuracy"].count == 1


def test_runs_of_a_release_with_fewer_options_are_pooled(desk: Desk) -> None:
    runs = [desk.evaluation(f"e{seed}", desk.encoder(f"p{seed}", seed), 14 + seed) for seed in range(3)]
    for seed, run in enumerate(runs):
        options = {"name": run.name, "data": {"store": "s"}, "encoders": {"xview": [str(desk.folder / f"p{seed}")]}}
        config = FinetuneConfig.model_validate_json(json.dumps(options | {"protocols": [{"name": "knn"}]}))
        kept = config.model_dump(mode="json")
        if seed == 1:
            del kept["data"]["transfer"], kept["protocols"][0]["ks"]
        if seed == 2:
            kept["protocols"][0]["ks"] = [3]
        (run / "config.yaml").write_text(yaml.safe_dump(kept))
    assert [row.seeds for row in compare(runs)] == [{0, 1}, {2}]


@pytest.mark.parametrize(
    ("encoder", "evaluation"),
    [
        ({"seed": 0}, {}),
        ({"optim": {"lr": 0.2}}, {}),
        ({"pretext": {"name": "skeleton_mae"}}, {}),
        ({}, {"sha256": "cd"}),
        ({}, {"test": 18}),
        ({}, {"split": "xview_dedup"}),
        ({}, {"pooling": "part"}),
        ({}, {"measure": "kNN, k = 1"}),
    ],
    ids=lambda change: "-".join(change) or "same",
)
def test_whatever_else_differs_is_kept_apart(desk: Desk, encoder: dict[str, Any], evaluation: dict[str, Any]) -> None:
    first = desk.evaluation("e0", desk.encoder("p0", 0), 14)
    second = desk.evaluation("e1", desk.encoder("p1", **({"seed": 1} | encoder)), 16, **evaluation)
    assert sorted(figures(compare([first, second]))) == [("70.0", 1), ("80.0", 1)]


def test_a_recipe_that_cannot_be_told_is_not_pooled(desk: Desk) -> None:
    encoders = [desk.encoder(f"p{seed}", seed) for seed in range(2)]
    runs = [desk.evaluation(f"e{seed}", encoder, 14) for seed, encoder in enumerate(encoders)]
    for encoder in encoders:
        (encoder / "config.yaml").unlink()
    assert figures(compare(runs)) == [("70.0", 1)] * 2
    (encoders[0] / "encoder" / "card.json").write_text("{")
    assert compare(runs)[0].pretext == "?"


def test_baselines_alone_and_folds(desk: Desk) -> None:
    path = desk.evaluation("e", desk.encoder("p"), 14)
    told = Report.load(path)
    rows = [Measurement.of(f"fold{at}", "pretrained", "kNN, k = 1", [scores(10 + at)]) for at in (1, 2)]
    rows += [Measurement.of("fold1", "raw", "linear, cached", [scores(9)])]
    facts = tuple(
        SplitFacts(name=f"fold{at}", train=4, test=2, encoders=(str(desk.folder / "p"),), warnings=("a leak",))
        for at in (1, 2)
    )
    told.model_copy(update={"splits": facts, "measurements": (*rows, *fold_means(rows))}).save(path)
    found = {(row.split, row.protocol): row for row in compare([path])}
    assert len(found) == 4
    assert found["fold1", "linear, cached"].pretext == "raw"
    mean = found["mean of folds", "kNN, k = 1"]
    assert (mean.pretext, mean.train, mean.warnings) == ("psp", None, ("fold1: a leak", "fold2: a leak"))
    assert "2 folds" in call(path).stdout


def test_published_figures_need_the_data_set_the_split_and_the_protocol(desk: Desk) -> None:
    store = desk.folder / "ucla"
    store.mkdir()
    (store / "meta.json").write_text(json.dumps({"sha256": "ab", "provenance": {"format": "nw-ucla"}}))

    def published(name: str, **changes: Any) -> list[str]:
        path = desk.evaluation(name, desk.encoder(f"p_{name}"), 14, **({"store": str(store)} | changes))
        return [str(anchor) for anchor in compare([path])[0].published]

    linear = published("same")
    assert linear == sorted(linear, key=lambda text: -float(text.split()[-1]))
    assert "GL-Transformer 90.4" in linear
    assert published("split", split="xview_dedup") == []
    assert published("protocol", measure="kNN, k = 1") == ["P&C 84.9"]  # 1-NN in its notebook, no linear probe
    assert published("none", measure="kNN, k = 5") == []
    assert published("changed_since", sha256="cd") == []
    assert published("unknown_store", store="stores/none") == []


def test_fresh_weights_stand_beside_pretrained_ones(desk: Desk) -> None:
    path = desk.evaluation("e", desk.encoder("p"), 14, measure="fine-tuned")
    report = Report.load(path)
    scratch = Measurement.of("xview", "scratch", "fine-tuned", [scores(13)])
    report.model_copy(update={"measurements": (scratch, *report.measurements)}).save(path)
    (row,) = compare([path])
    assert row.pretext == "psp"
    beside = {name: figure.mean for name, figure in row.baselines.items()}
    assert beside == pytest.approx({"scratch": 0.65, "raw": 0.55, "untrained": 0.65})
    report.model_copy(update={"measurements": (scratch,)}).save(path)
    assert [row.pretext for row in compare([path])] == ["scratch"]  # though encoders are named


def test_raw_coordinates_by_another_metric_are_a_baseline_too(desk: Desk) -> None:
    path = desk.evaluation("e", desk.encoder("p"), 14, measure="kNN, k = 1")
    report = Report.load(path)
    other = Measurement.of("xview", "raw (Euclidean)", "kNN, k = 1", [scores(12)])
    report.model_copy(update={"measurements": (other, *report.measurements)}).save(path)
    (row,) = compare([path])
    assert row.pretext == "psp"
    assert row.baselines["raw (Euclidean)"].mean == pytest.approx(0.6)


def test_fused_streams_stand_beside_fused_streams() -> None:
    def beside(dataset: str, measure: str) -> list[str]:
        row = Measurement.of("xview", "scratch", measure, [scores(14)])
        return [anchor.method for anchor in anchors_for(dataset, row)]

    assert beside("nw-ucla", "fine-tuned, fused joint + bone (0.6, 0.6)") == ["InfoGCN", "CTR-GCN"]
    assert beside("nw-ucla", "fine-tuned") == []
    assert beside("ntu60", "fine-tuned") == ["MAMP's network"]


def test_ntu_is_told_by_its_classes(desk: Desk) -> None:
    (desk.folder / "meta.json").write_text(json.dumps({"sha256": "ab", "provenance": {"format": "ctrgcn"}}))
    report = Report.load(desk.evaluation("e", desk.encoder("p"), 14, store=str(desk.folder)))
    names = tuple(map(str, range(120)))
    assert dataset_of(report.model_copy(update={"class_names": names})) == "ntu120"
    assert dataset_of(report.model_copy(update={"class_names": names[:60]})) == "ntu60"


def test_every_anchor_tells_its_source() -> None:
    anchors = load_anchors()
    assert anchors
    assert all(anchor.source and 0 < anchor.accuracy < 100 for anchor in anchors)


def test_markdown(desk: Desk) -> None:
    runs = [desk.evaluation("e0", desk.encoder("p0"), 14, warnings=("5 of 20 test clips | seen",))]
    runs += [desk.evaluation("e1", desk.encoder("p1"), 16, split="xsub")]
    text = call(*runs).stdout
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert len({line.count("|") for line in table}) == 1
    assert "xview [a]" in table[2]
    assert "[a]" not in table[3]
    assert "- [a] **Warning**: 5 of 20 test clips | seen" in text
    assert "`ssl-skel finetune e1.yaml 'x=50%'`" in text
    assert "raw 55.0; untrained 65.0 ± 7.1" in table[2]


def test_latex_is_escaped(desk: Desk) -> None:
    path = desk.evaluation("e", desk.encoder("p"), 14, split="x_v", warnings=("5 % & {more} of #1 ~ ^ \\",))
    text = call(path, "--format", "latex").stdout
    assert "x\\_v [a] & 40 / 20" in text
    assert "5 \\% \\& \\{more\\} of \\#1 \\textasciitilde{} \\textasciicircum{} \\textbackslash{}" in text
    assert "65.0 $\\pm$ 7.1" in text
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert len({line.replace("\\&", "").count("&") for line in rows}) == 1
    columns = next(line for line in text.splitlines() if "begin{tabular}" in line).split("{")[-1].strip("}")
    assert len(columns) == rows[0].count("&") + 1
    assert all("%" not in line.replace("\\%", "") for line in text.splitlines() if not line.startswith("% "))


def test_csv_and_json_hold_shares(desk: Desk) -> None:
    runs = [desk.evaluation(f"e{seed}", desk.encoder(f"p{seed}", seed), 14 + seed) for seed in range(2)]
    (line,) = csv.DictReader(io.StringIO(call(*runs, "--format", "csv").stdout))
    assert float(line["accuracy"]) == pytest.approx(0.725)
    assert (line["n"], line["split"], line["sha256"]) == ("2", "xview", "ab")
    assert float(line["baseline untrained_std"]) == pytest.approx(0.0707, abs=1e-4)
    (row,) = json.loads(call(*runs, "--format", "json").stdout)
    assert json.loads(call(*runs, "--json").stdout) == [row]
    assert row["figures"]["accuracy"]["count"] == 2
    assert row["commands"] == ["ssl-skel finetune e0.yaml 'x=50%'", "ssl-skel finetune e1.yaml 'x=50%'"]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        *[("=HYPERLINK(1)", "'=HYPERLINK(1)"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("a=b", "a=b")],
        *[("\t=x", "\\t=x"), ("\rx", "\\rx"), ("a\nb", "a\\nb"), ("\x1b[2J", "\\x1b[2J")],
    ],
)
def test_no_name_is_a_formula_in_csv(desk: Desk, name: str, cell: str) -> None:
    path = desk.evaluation("e", desk.encoder("p"), 14)
    text = (path / "report.json").read_text()
    (path / "report.json").write_text(text.replace('"xview"', json.dumps(name)))
    (line,) = csv.DictReader(io.StringIO(call(path, "--format", "csv").stdout, newline=""))
    assert line["split"] == cell
    assert float(line["accuracy"]) == pytest.approx(0.7)


@pytest.mark.parametrize("format", ["markdown", "csv", "latex", "json"])
def test_no_name_acts_on_a_terminal(desk: Desk, format: str) -> None:
    name = "x\x1b[2J\ny\u202e"
    row = replace(
        compare([desk.evaluation("e", desk.encoder("p"), 14)])[0], split=name, warnings=(name,), commands=(name,)
    )
    assert not set(FORMATS[format]([row])) & set("\x1b\u202e")


def test_files_and_mistakes(desk: Desk) -> None:
    path = desk.evaluation("e", desk.encoder("p"), 14)
    assert call(path, "-o", desk.folder / "table.tex").stdout == f"written: {desk.folder / 'table.tex'}\n"
    assert "\\begin{tabular}" in (desk.folder / "table.tex").read_text()
    call(path, "-o", desk.folder / "table", "--format", "json")
    assert json.loads((desk.folder / "table").read_text())
    for words, told in (
        ((desk.folder / "p",), "p/report.json: .* ssl-skel finetune"),
        ((path, "-o", desk.folder / "none" / "table.md"), "table.md: cannot be written"),
    ):
        with pytest.raises(UserError, match=told):
            call(*words)
