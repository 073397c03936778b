"""``ssl-skel fuse``: the weighted sum of what trainings kept, and what does not go together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from scipy.optimize import check_grad
from typer.testing import CliRunner, Result

from finetune.commands import fuse
from finetune.config import FinetuneConfig
from finetune.fusion import weights as fusion_weights
from finetune.fusion.weights import fit_weights
from finetune.run import run
from ssl_skel.config import parse_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.evaluation.answers import load_answers
from ssl_skel.evaluation.metrics import score
from ssl_skel.evaluation.report import Report
from ssl_skel.experiments.comparison import compare
from ssl_skel.experiments.finding import find_runs
from ssl_skel.files.exclusive import only_worker

NET = {"name": "mpae_net", "channels": [8], "strides": [4], "heads": 2, "norm": "layer"}
FULL = {"name": "full", "epochs": 2, "batch_size": 13, "eval_every": 1, "crop": [1.0, 1.0], "augment": []}
FULL |= {"optim": {"lr": 1e-2, "warmup_epochs": 1}, "select": "validation", "validation_share": 0.3}
SPLITS = ["xview", "xview_dedup"]

app = typer.Typer()
app.command()(fuse)


@pytest.fixture(scope="module")
def made(motions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evaluations ``joint`` and ``bone`` from fresh weights, two seeds, with validation subjects."""
    runs = tmp_path_factory.mktemp("fusion")
    for stream in ("joint", "bone"):
        data = {
            "name": stream,
            "data": {"store": str(motions)},
            "scratch": {"splits": SPLITS, "backbone": NET, "num_frames": 8, "stream": stream},
            "protocols": [FULL, {"name": "knn", "ks": [1]}],
            "baselines": [],
            "seeds": [0, 1],
            "device": "cpu",
            "runs": str(runs),
        }
        run(parse_config(FinetuneConfig, data, "test"))
    return runs


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "runs")


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def stored(folder: Path, seed: int) -> dict[str, np.ndarray]:
    (file,) = folder.glob(f"trainings/*_seed{seed}_*/predictions.npz")
    with np.load(file) as data:
        return dict(data)


def by_hand(runs: Path, motions: Path, weights: tuple[float, float]) -> list[Any]:
    """Scores of each seed from a loop over test clips."""
    store, found = Store.open(motions), []
    rows = load_split(store, "xview").test
    for seed in (0, 1):
        one, two = (stored(runs / stream, seed) for stream in ("joint", "bone"))
        assert one["name"].tolist() == two["name"].tolist() == store.name[rows].tolist()
        total = np.array(
            [weights[0] * a.astype(float) + weights[1] * b for a, b in zip(one["logits"], two["logits"], strict=True)]
        ) / sum(weights)
        found.append(score(store.label[rows], total.argmax(1), store.num_classes, total))
    return found


@pytest.mark.parametrize(("words", "weights"), [((), (0.6, 0.6)), (("--weights", "0.2,1"), (0.2, 1.0))])
def test_the_weighted_sum_of_logits_seed_by_seed(
    runs: Path, motions: Path, words: tuple[str, ...], weights: tuple[float, float]
) -> None:
    result = call(runs / "joint", runs / "bone", *words, "-o", "both")
    report = Report.load(runs / "both")
    told = f"{weights[0]:g} : {weights[1]:g}"
    measure = f"fine-tuned, fused joint + bone by {told}"
    assert [(m.split, m.features, m.measure) for m in report.measurements] == [(s, "scratch", measure) for s in SPLITS]
    for fused, alone in zip(report.measurements[0].runs, by_hand(runs, motions, weights), strict=True):
        assert fused.confusion == alone.confusion
        assert fused.ece == pytest.approx(alone.ece)
    kept = load_answers(runs / "both", report.measurements[0].figure_name)
    assert [float((one.label == one.predicted).mean()) for one in kept or ()] == [
        run.accuracy for run in report.measurements[0].runs
    ]
    alone_told = [str(Report.load(runs / s).figure("xview", "scratch", "fine-tuned")) for s in ("joint", "bone")]
    assert f"xview: accuracy of each stream alone: joint {alone_told[0]}, bone {alone_told[1]} %" in result.stdout
    assert "ssl-skel fuse" in report.command
    assert str(runs / "bone") in report.command
    assert str(runs / "both" / "report.md") in result.stdout.replace("\n", "")


def test_two_processes_do_not_write_one_fusion(runs: Path) -> None:
    with only_worker(runs / "both"), pytest.raises(UserError, match="both: another process works on this run"):
        call(runs / "joint", runs / "bone", "-o", "both")
    assert call(runs / "joint", runs / "bone", "-o", "both").exit_code == 0


def test_one_stream_with_all_the_weight_is_that_stream(runs: Path) -> None:
    call(runs / "joint", runs / "bone", "--weights", "0,3", "-o", "both")
    fused, alone = (Report.load(runs / name).measurements[0].runs for name in ("both", "bone"))
    assert [one.confusion for one in fused] == [one.confusion for one in alone]


def test_report_and_runs_list_it_beside_the_others(runs: Path) -> None:
    call(runs / "joint", runs / "bone", "-o", "both")
    listed, skipped = find_runs(runs)
    assert skipped == []
    assert {record.name: record.state for record in listed} == dict.fromkeys(("joint", "bone", "both"), "finished")
    rows = [row for row in compare([runs / name for name in ("joint", "bone", "both")]) if row.split == "xview"]
    fused = next(row for row in rows if "fused" in row.protocol)
    assert (fused.pretext, fused.encoder) == ("scratch", "mpae_net base joint + bone")
    assert fused.seeds == {0, 1}
    assert sum(row.protocol == "fine-tuned" for row in rows) == 2


def test_weights_are_fitted_on_validation_subjects_whatever_test_clips_say(runs: Path, motions: Path) -> None:
    store = Store.open(motions)
    split = load_split(store, "xview")
    call(runs / "joint", runs / "bone", "--fit", "validation", "-o", "fitted")
    notes = [note for note in Report.load(runs / "fitted").measurements[0].notes if "weights" in note]
    assert len(notes) == 2
    for seed in (0, 1):
        kept = [stored(runs / stream, seed) for stream in ("joint", "bone")]
        held = np.array([store.name.tolist().index(name) for name in kept[0]["validation_name"]])
        assert set(held) < set(split.train.tolist())
        assert len(set(store.subject[held])) == 1
        weights = fit_weights(np.stack([one["validation_logits"] for one in kept]), store.label[held])
        assert notes[seed].startswith(
            f"seed {seed}: weights joint {weights[0]:.3g} + bone {weights[1]:.3g}, fitted on {len(held)} clips"
        )

    for file in runs.glob("*/trainings/*/predictions.npz"):  # other test logits, other figures, same weights
        with np.load(file) as data:
            changed = dict(data) | {"logits": data["logits"][:, ::-1]}
        np.savez(file, **changed)
    call(runs / "joint", runs / "bone", "--fit", "validation", "-o", "poisoned")
    again = [note for note in Report.load(runs / "poisoned").measurements[0].notes if "weights" in note]
    assert again == notes
    assert Report.load(runs / "poisoned").measurements[0].runs != Report.load(runs / "fitted").measurements[0].runs


def test_fitted_weights_are_the_best_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, 200)
    good = 1.5 * np.eye(4)[label] + rng.normal(size=(200, 4))
    poor = 0.5 * np.eye(4)[label] + rng.normal(size=(200, 4))
    logits = np.stack([good, poor, rng.normal(size=(200, 4))])

    def loss(weights: np.ndarray) -> float:
        total = np.tensordot(weights, logits, 1)
        return float(np.mean([np.log(np.exp(row).sum()) - row[y] for row, y in zip(total, label, strict=True)]))

    weights = fit_weights(logits, label)
    assert weights[0] > weights[1] > weights[2] >= 0
    nearby = weights + 0.05 * rng.normal(size=(200, 3))
    assert min(loss(np.clip(other, 0, 10)) for other in nearby) >= loss(weights) - 1e-9

    seen: list[Callable[[np.ndarray], tuple[float, np.ndarray]]] = []
    solve = fusion_weights.minimize
    monkeypatch.setattr(fusion_weights, "minimize", lambda f, *a, **k: seen.append(f) or solve(f, *a, **k))
    assert (fit_weights(-np.eye(4)[label][None] * 9, label) == [1.0]).all()  # worse than nothing
    fit_weights(logits, label)
    at = np.array([0.3, 0.7, 0.1])
    assert seen[1](at)[0] == pytest.approx(loss(at))
    assert check_grad(lambda w: seen[1](w)[0], lambda w: seen[1](w)[1], at) < 1e-5


def edited(folder: Path, file: str, change: Callable[[Any], None]) -> None:
    data = json.loads((folder / file).read_text())
    change(data)
    (folder / file).write_text(json.dumps(data))


def unheld(folder: Path) -> None:
    for file in folder.glob("trainings/*/predictions.npz"):
        with np.load(file) as data:
            np.savez(file.with_suffix(""), **dict(data) | {"validation_name": data["validation_name"][:0]})


def older(folder: Path) -> None:
    for file in folder.glob("trainings/*/predictions.npz"):
        with np.load(file) as data:
            np.savez(file.with_suffix(""), **{key: data[key] for key in data if not key.startswith("validation")})


@pytest.mark.parametrize(
    ("spoil", "words", "message"),
    [
        (lambda f: edited(f, "report.json", lambda r: r.update(sha256="0" * 64)), (), "another store .*one store"),
        (lambda f: edited(f, "report.json", lambda r: r["class_names"].reverse()), (), "bone: has other class names"),
        (lambda f: edited(f, "report.json", lambda r: r["splits"][0].update(test=7)), (), "another test set, 7 clips"),
        (lambda f: edited(f, "trainings.json", lambda r: r["trainings"].pop(0)), (), "seeds 1 do not match seeds 0, 1"),
        (
            lambda f: edited(f, "trainings.json", lambda r: [t.update(measure="psp") for t in r["trainings"]]),
            (),
            "has no xview, scratch, fine-tuned, nor any other",
        ),
        (
            lambda f: edited(f, "trainings.json", lambda r: r["trainings"][0].update(folder="../joint")),
            (),
            "trainings.json: folder: '../joint' is not a name",
        ),
        (lambda f: edited(f, "trainings.json", lambda r: r.update(trainings=[])), (), "trained no classifier"),
        (lambda f: (f / "trainings.json").unlink(), (), "trainings.json: No such file.* nothing is trained again"),
        (lambda f: (f / "report.json").unlink(), (), "report.json: No such file.* ssl-skel finetune"),
        (lambda f: shutil.rmtree(f / "trainings"), (), "predictions.npz: No such file.*repeat the evaluation"),
        (lambda f: [p.write_bytes(b"PK") for p in f.glob("*/*/predictions.npz")], (), "predictions.npz: is damaged"),
        (unheld, ("--fit", "validation"), "held out no subjects; evaluate with select: validation"),
        (older, ("--fit", "validation"), "has no validation_name; remove"),
        (
            lambda f: edited(f, "trainings.json", lambda r: [t.update(stream="pose") for t in r["trainings"]]),
            (),
            "stream pose has no weight of its own; give --weights",
        ),
        (lambda f: None, ("--weights", "1"), "--weights: 1 for 2 runs"),
        (lambda f: None, ("--weights", "1,a"), "give numbers separated by commas"),
        (lambda f: None, ("--weights", "1,-1"), "must not be negative"),
        (lambda f: None, ("--weights", "1,1", "--fit", "validation"), "give one of the two"),
        (lambda f: None, ("-o", "joint"), r"joint: holds another run \(.*, now .*\); give this fusion another name"),
        (lambda f: None, ("-o", "../x"), "'../x' cannot become the name of a file"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(
    runs: Path, spoil: Callable[[Path], Any], words: tuple[str, ...], message: str
) -> None:
    spoil(runs / "bone")
    before = (runs / "joint" / "report.json").read_bytes()
    with pytest.raises(UserError, match=message) as told:
        call(runs / "joint", runs / "bone", *(() if "-o" in words else ("-o", "both")), *words)
    assert "\n" not in str(told.value)
    assert not (runs / "both").exists()
    assert (runs / "joint" / "report.json").read_bytes() == before


def test_a_run_is_not_fused_with_itself_and_a_fusion_may_be_repeated(runs: Path) -> None:
    with pytest.raises(UserError, match="two evaluations or more, each named once"):
        call(runs / "joint", runs / "bone" / ".." / "joint", "-o", "both")
    with pytest.raises(UserError, match="two evaluations or more"):
        call(runs / "joint", "-o", "both")
    for _ in range(2):
        assert call(runs / "joint", runs / "bone", "-o", "both").exit_code == 0
    assert yaml.safe_load((runs / "both" / "config.yaml").read_text())["fused"][1]["weight"] == 0.6


def test_figures_that_one_run_lacks_are_left_out_and_named(runs: Path) -> None:
    edited(
        runs / "bone",
        "trainings.json",
        lambda r: r.update(trainings=[t for t in r["trainings"] if t["split"] == "xview"]),
    )
    call(runs / "joint", runs / "bone", "-o", "both")
    report = Report.load(runs / "both")
    assert {m.split for m in report.measurements} == {"xview"}
    assert f"left out: xview_dedup, scratch, fine-tuned, which {runs / 'bone'} does not have" in report.to_markdown()
