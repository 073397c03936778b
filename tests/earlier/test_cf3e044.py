"""What release 0.1 wrote (revision cf3e044) still opens, and gives the same answers.

``cf3e044.zip`` holds a store, a finished and a stopped pretraining, indexes, an evaluation with saved classifiers and
label subsets, and what that revision answered about them. It was made by these commands, run in its folder::

    ssl-skel convert npz recordings.npz store
    ssl-skel split store --split xsub --fractions 0.2,0.5 --per-class 1 --seeds 2
    ssl-skel pretrain pretrain.yaml name=done           # the run named "run" is the same, stopped after step 5 of 12
    ssl-skel index done store -o index --readout part   # index_quarters: --readout part_quarters
    ssl-skel finetune finetune.yaml
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from ssl_skel.cli import app as cli

pytestmark = pytest.mark.filterwarnings("ignore::ssl_skel.config.FormerName")

Ask = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what was written, as the working directory."""
    with zipfile.ZipFile(Path(__file__).with_name("cf3e044.zip")) as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path / "cf3e044")
    return tmp_path / "cf3e044"


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """What ``ssl-skel WORDS`` prints; it must succeed."""

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["ssl-skel", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        shown = capsys.readouterr()
        assert not end.value.code, shown.err
        return shown.out

    return run


def assert_alike(now: Any, then: Any) -> None:
    """The same structure and words; numbers but for the last digits, which depend on the processor."""
    if isinstance(then, dict):
        assert then.keys() <= now.keys()
        for key, value in then.items():
            assert_alike(now[key], value)
    elif isinstance(then, list):
        assert len(now) == len(then)
        for left, right in zip(now, then, strict=True):
            assert_alike(left, right)
    elif isinstance(then, float):
        assert now == pytest.approx(then, abs=1e-4)
    else:
        assert now == then


def test_the_store(folder: Path, ask: Ask) -> None:
    now, then = (json.loads(text) for text in (ask("info", "store", "--json"), (folder / "info.json").read_text()))
    same = ("clips", "frames", "channels", "classes", "layout", "lengths", "per_class", "sha256")
    assert {key: now[key] for key in same} == {key: then[key] for key in same}
    assert now["splits"].keys() == then["splits"].keys()


def test_label_subsets_are_found_again_not_drawn_anew(folder: Path, ask: Ask) -> None:
    before = {path: path.read_bytes() for path in (folder / "store").rglob("*") if path.is_file()}
    ask("split", "store", "--split", "xsub", "--fractions", "0.2,0.5", "--per-class", "1", "--seeds", "2")
    assert {path: path.read_bytes() for path in (folder / "store").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("readout", ["mean", "body", "part", "joint", "part_quarters"])
def test_the_encoder_gives_the_same_vectors(folder: Path, ask: Ask, readout: str) -> None:
    ask("embed", "done", "store", "-o", "again.npz", "--readout", readout, "--split", "xsub", "--device", "cpu")
    with np.load("again.npz") as now, np.load("features/vectors.npz") as then:
        assert now["name"].tolist() == then["name"].tolist()
        np.testing.assert_allclose(now["features"], then[readout], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["search", "index", "wave_s01_r0_c1", "-k", "19"], "search.json"),
        (["search", "index_quarters", "wave_s01_r0_c1", "-k", "19"], "search_quarters.json"),
        (["search", "index", "query.npz", "-k", "5"], "search_query.json"),
    ],
)
def test_the_indexes_answer_alike(folder: Path, ask: Ask, words: list[str], kept: str) -> None:
    assert_alike(json.loads(ask(*words, "--device", "cpu", "--json")), json.loads((folder / kept).read_text()))


@pytest.mark.parametrize(
    ("source", "training", "kept"),
    [
        ("store", "xsub_pretrained0_linear", "predictions_linear.json"),
        ("store", "xsub_pretrained0_all", "predictions_full.json"),
        ("query.npz", "xsub_pretrained0_linear", "predictions_query.json"),
    ],
)
def test_the_classifiers_answer_alike(folder: Path, ask: Ask, source: str, training: str, kept: str) -> None:
    now = json.loads(ask("predict", "evaluation", source, "--training", training, "--json", "-k", "5"))
    assert_alike(now, json.loads((folder / kept).read_text()))


def test_the_stopped_run_goes_on_to_the_weights_of_the_one_that_was_not(folder: Path, ask: Ask) -> None:
    ask("pretrain", "pretrain.yaml", "resume=auto")
    now, then = (safetensors.numpy.load_file(f"{run}/encoder/encoder.safetensors") for run in ("run", "done"))
    assert now.keys() == then.keys()
    for name, weight in then.items():
        np.testing.assert_allclose(now[name], weight, rtol=1e-3, atol=1e-5, err_msg=name)


def test_the_evaluation_can_be_repeated_from_its_config(folder: Path, ask: Ask) -> None:
    then = json.loads((folder / "evaluation/report.json").read_text())
    before = sorted(path.name for path in (folder / "evaluation/trainings").iterdir())
    ask("finetune", "evaluation/config.yaml")
    assert sorted(path.name for path in (folder / "evaluation/trainings").iterdir()) == before  # none is done again
    now = json.loads((folder / "evaluation/report.json").read_text())
    assert len(now["measurements"]) == len(then["measurements"])
    for left, right in zip(now["measurements"], then["measurements"], strict=True):
        assert left["features"] == right["features"]
        accuracy = left["figures"]["accuracy"]["mean"]
        assert accuracy == pytest.approx(right["figures"]["accuracy"]["mean"], abs=0.11)  # one of ten clips, at most


def test_runs_and_reports_are_listed(folder: Path, ask: Ask) -> None:
    assert {"done", "run", "evaluation"} <= {run["name"] for run in json.loads(ask("runs", ".", "--json"))["runs"]}
    assert "skeleton_mae" in ask("report", "evaluation")
    ask("view", "done", "-o", "page.html")
    assert "<html" in (folder / "page.html").read_text("utf-8")
