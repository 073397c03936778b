"""``ssl-skel runs`` on run directories made by hand: what it tells, chooses, orders, and how it bears damage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from ssl_skel.cli.experiments import runs
from ssl_skel.errors import UserError
from ssl_skel.evaluation.report import Figure, Measurement, Report, SplitFacts
from ssl_skel.experiments import finding
from ssl_skel.experiments.finding import KEPT, find_runs
from ssl_skel.experiments.record import pretext_name, read_run

app = typer.Typer()
app.command()(runs)


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def listed(*words: Any) -> list[str]:
    return [run["name"] for run in json.loads(call(*words, "--json").stdout)["runs"]]


def write_pretraining(folder: Path, *, done: int = 2, epochs: int = 4, loss: float = 0.5, **changes: Any) -> Path:
    """A run of 3 steps an epoch, ``done`` epochs of it in the log and in a checkpoint nobody may unpickle."""
    config = {
        "name": folder.name,
        "data": {"split": "xview", "crop": [0.5, 1.0]},
        "augment": [{"name": "rotate"}],
        "pretext": {"name": "skeleton_mae"},
        "train": {"epochs": epochs},
        "seed": 0,
    }
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config | changes))
    if done:
        lines: list[dict[str, Any]] = [
            {"epoch": epoch + 1, "step": 3 * (epoch + 1), "lr": 0.1, "loss": loss + done - 1 - epoch, "seconds": 10.0}
            for epoch in range(done)
        ]
        lines[0] |= {"knn_1": 0.25, "linear": None, "rankme": 3.14159}
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        checkpoint = folder / "checkpoints" / f"step_{3 * done:09d}"
        checkpoint.mkdir(parents=True)
        state = {"format_version": 1, "step": 3 * done, "steps_per_epoch": 3, "config": config}
        (checkpoint / "state.json").write_text(json.dumps(state))
        (checkpoint / "optimizer.pt").write_bytes(b"no pickle")
    if done == epochs:
        (folder / "encoder").mkdir()
        (folder / "encoder" / "card.json").write_text(json.dumps({"pretext": config["pretext"]}))
    return folder


def write_evaluation(folder: Path, encoder: Path, kinds: Sequence[str] = ("raw", "pretrained")) -> Path:
    folder.mkdir(parents=True)
    config = {"name": folder.name, "encoders": {"xview": [str(encoder)]}, "protocols": [{"name": "linear"}]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    figures = {"raw": Figure(mean=0.6), "scratch": Figure(mean=0.7), "pretrained": Figure(mean=0.75, std=0.01, count=3)}
    Report(
        name=folder.name,
        store="stores/none",
        sha256="ab",
        class_names=("a", "b"),
        splits=(SplitFacts(name="xview", train=10, test=5),),
        measurements=tuple(
            Measurement(split="xview", features=kind, measure="linear, cached", figures={"accuracy": figures[kind]})
            for kind in kinds
        ),
        seconds=90.0,
    ).save(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four runs in each state and kind."""
    folder = tmp_path / "runs"
    encoder = write_pretraining(folder / "done", done=4, loss=0.25)
    write_pretraining(folder / "half", done=2, pretext={"name": "psp"}, seed=1)
    write_pretraining(folder / "new", done=0)
    write_evaluation(folder / "probe", encoder)
    return folder


def test_what_is_told_of_each(folder: Path) -> None:
    found, skipped = find_runs(folder)
    assert skipped == []
    done, half, new, probe = found
    assert [run.state for run in found] == ["finished", "stopped", "never", "finished"]
    assert [run.kind for run in found] == ["pretrain", "pretrain", "pretrain", "finetune"]
    assert (half.step, half.steps, half.epochs, half.seconds, half.loss) == (6, 12, 2, 20.0, 0.5)
    assert (new.step, new.epochs, new.loss, new.figures) == (None, 0, None, {})
    assert done.figures == {"knn_1": 0.25, "rankme": 3.14159}  # of the epoch that looked; nothing where it failed
    assert probe.figures == {"xview, linear, cached": 0.75}  # not the baseline
    assert probe.texts == {"xview, linear, cached": "75.0 ± 1.0"}
    assert (probe.pretext, probe.splits, probe.seconds) == ("skeleton_mae", ("xview",), 90.0)
    assert [run.name for run in find_runs(folder / "half")[0]] == ["half"]


def test_what_has_not_changed_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(finding, "read_run", lambda path: read.append(path.name) or read_run(path))

    def again() -> list[str]:
        read.clear()
        assert find_runs(folder)[0] == [read_run(path) for path in sorted(folder.iterdir()) if path.is_dir()]
        return read

    assert again() == ["done", "half", "new", "probe"]
    assert again() == []
    with (folder / "half" / "log.jsonl").open("a") as log:
        log.write('{"epoch": 3, "step": 9, "lr": 0.1, "loss": 0.1, "seconds": 10.0}\n')
    assert again() == ["half"]
    (folder / "half" / "checkpoints" / "step_000000006").rename(folder / "half" / "checkpoints" / "step_000000009")
    assert again() == ["half"]
    card = folder / "done" / "encoder" / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"pretext": {"name": "vicreg"}}))
    assert again() == ["done", "probe"]
    for damage in (b"{", b'["0", {}]', (folder / KEPT).read_bytes().replace(b'"state":"stopped"', b'"state":"odd"')):
        (folder / KEPT).write_bytes(damage)
        assert again() == ["done", "half", "new", "probe"]
    write_pretraining(folder / "more", done=0)
    assert again() == ["more"]


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (("scratch", "pretrained"), 0.75),
        (("pretrained", "scratch", "raw"), 0.75),
        (("raw", "scratch"), 0.7),
        (("raw",), 0.6),
    ],
)
def test_the_figure_of_a_measure_is_the_encoders_where_there_is_one(
    tmp_path: Path, kinds: tuple[str, ...], told: float
) -> None:
    probe = write_evaluation(tmp_path / "probe", tmp_path / "gone", kinds)
    assert read_run(probe).figures == {"xview, linear, cached": told}


def test_the_table_and_json(folder: Path) -> None:
    text = call(folder).stdout
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert "stopped at step 6 of 12" in lines["half"]
    assert "no checkpoint" in lines["new"]
    assert "xview, linear, cached 75.0 ± 1.0" in lines["probe"]
    assert "knn_1 25.0; rankme 3.14" in lines["done"]
    facts = json.loads(call(folder, "--json").stdout)
    assert facts["runs"][1]["step"] == 6
    assert facts["skipped"] == []


def test_filters(folder: Path) -> None:
    assert listed(folder, "--where", "seed=1") == ["half"]
    assert listed(folder, "--where", "data.crop=[0.5, 1.0]", "--where", "state=finished") == ["done"]
    assert listed(folder, "--where", "augment.0.name=rotate") == ["done", "half", "new"]
    assert listed(folder, "--pretext", "skeleton_mae") == ["done", "new", "probe"]
    assert listed(folder, "--split", "xsub") == []
    assert listed(folder, "--split", "xview", "--where", "kind=finetune") == ["probe"]
    with pytest.raises(UserError, match="sed: no run has that key; did you mean 'seed'"):
        call(folder, "--where", "sed=1")
    with pytest.raises(UserError, match="key=value"):
        call(folder, "--where", "seed")


def test_order(folder: Path) -> None:
    assert listed(folder, "--sort", "loss") == ["done", "half", "new", "probe"]
    assert listed(folder, "--sort", "loss", "--reverse") == ["half", "done", "new", "probe"]
    assert listed(folder, "--sort", "seconds", "--reverse") == ["probe", "done", "half", "new"]
    assert listed(folder, "--sort", "xview, linear, cached")[0] == "probe"
    with pytest.raises(UserError, match="did you mean 'loss'"):
        call(folder, "--sort", "los")


def test_differences(folder: Path) -> None:
    found = json.loads(call(folder, "--where", "kind=pretrain", "--diff", "--json").stdout)["differences"]
    assert found == {"pretext.name": ["skeleton_mae", "psp", "skeleton_mae"], "seed": [0, 1, 0]}
    shown = call(folder, "--where", "kind=pretrain", "--diff").stdout
    assert '"psp"' in next(line for line in shown.splitlines() if line.startswith("pretext.name"))
    assert "do not differ" in call(folder, "--where", "name=new", "--diff").stdout


def test_damaged_folders_are_named_and_the_rest_is_listed(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / ".hidden").mkdir()
    (folder / "list").mkdir()
    (folder / "list" / "config.yaml").write_text("[1, 2]")
    (folder / "binary").mkdir()
    (folder / "binary" / "config.yaml").write_bytes(b"\xff\xfe\x00")
    write_pretraining(folder / "odd_log", done=1)
    (folder / "odd_log" / "log.jsonl").write_text("5\n")
    write_pretraining(folder / "odd_state", done=1)
    (folder / "odd_state" / "checkpoints" / "step_000000003" / "state.json").write_text("{")
    write_evaluation(folder / "odd_report", folder / "done")
    (folder / "odd_report" / "report.json").write_text("{}")
    result = call(folder)
    assert result.exit_code == 0
    assert "half" in result.stdout
    assert "odd_log" in result.stdout  # its checkpoint is sound
    skipped = [line for line in result.stderr.splitlines() if line.startswith("skipped: ")]
    for name in ("empty", "list", "binary", "odd_state", "odd_report"):
        assert sum(f"{folder / name}" in line for line in skipped) == 1
    assert len(skipped) == 5


def test_a_log_cut_short_tells_what_came_before(folder: Path) -> None:
    with (folder / "half" / "log.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')
    assert read_run(folder / "half").epochs == 2


def test_no_folder_and_no_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: is not a folder"):
        call(tmp_path / "none")
    assert "no runs" in call(tmp_path).stderr


def test_the_commands_are_found_and_import_nothing_heavy() -> None:
    found = {entry.name: entry.value for entry in entry_points(group="ssl_skel.commands")}
    assert {found.get(verb) for verb in ("runs", "report", "sweep")} == {
        f"ssl_skel.cli.experiments:{verb}" for verb in ("runs", "report", "sweep")
    }
    program = "import sys, ssl_skel.cli.experiments; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_names_of_pretexts() -> None:
    parts = [{"pretext": {"name": "psp"}}, {"pretext": {"name": "temporal_order"}}]
    assert pretext_name({"name": "combined", "parts": parts}) == "psp+temporal_order"
    assert pretext_name(None) == ""
