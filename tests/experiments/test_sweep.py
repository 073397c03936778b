"""``ssl-skel sweep``: which runs a grid has, and what becomes of them when one fails, is finished, or is stopped.

Runs are played by a small program, but for one test in which they are real.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from pretrain.config import PretrainConfig
from ssl_skel.cli.experiments import sweep
from ssl_skel.config import load_config
from ssl_skel.errors import UserError
from ssl_skel.experiments import sweep as module
from ssl_skel.experiments.sweep import Job, plan, run_all

app = typer.Typer()
app.command()(sweep)

# Told its own name by a word, it finds its config and what it has to do in a file beside it.
ACTOR = """
import json, os, pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
name = next(word[5:] for word in sys.argv if word.startswith("name="))
act = json.loads((here / "acts.json").read_text())[name]
with (here / "called.txt").open("a") as file:
    file.write(" ".join([name, *[word for word in sys.argv if word.startswith("resume")]]) + "\\n")
folder = here / "runs" / name
(folder / "encoder").mkdir(parents=True, exist_ok=True)
(folder / "config.yaml").write_text(json.dumps(act["config"]))
def stop(number, frame):
    (folder / "checkpoint").write_text(str(number))
    sys.exit(128 + number)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, stop)
if act["do"] == "wait":
    (folder / "started").touch()
    time.sleep(60)
if act["do"] == "fail":
    sys.exit(3)
(folder / "encoder" / "card.json").write_text("{}")
"""


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def config(motions: Path, tmp_path: Path) -> Path:
    data = {
        "name": "tiny",
        "data": {"store": str(motions), "split": "unseen", "num_frames": 16},
        "backbone": {"name": "mpae_net", "channels": [16], "strides": [4], "norm": "layer"},
        "pretext": {"name": "skeleton_mae", "decoder_dim": 16},
        "train": {"epochs": 1, "batch_size": 16, "device": "cpu", "progress": False},
        "runs": str(tmp_path / "runs"),
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def names(path: Path, *words: str) -> list[str]:
    return [job.name for job in plan(PretrainConfig, path, words)]


def play(tmp_path: Path, jobs: list[Job], **acts: str) -> list[str]:
    """A program that plays these runs; what is not told otherwise succeeds."""
    told = {job.name: {"config": job.config, "do": acts.get(job.name.rpartition("_")[2], "succeed")} for job in jobs}
    (tmp_path / "acts.json").write_text(json.dumps(told))
    (tmp_path / "actor.py").write_text(ACTOR)
    return [sys.executable, "-S", "-E", str(tmp_path / "actor.py")]


def called(tmp_path: Path) -> list[str]:
    return (tmp_path / "called.txt").read_text().splitlines()


def test_the_grid_in_order(config: Path, tmp_path: Path) -> None:
    jobs = plan(PretrainConfig, config, ["optim.lr=1e-3,0.01", "train.epochs=3", "seed=0,1"])
    assert [job.name for job in jobs] == [
        f"tiny-optim.lr_{lr}-seed_{seed}" for lr in ("0.001", "0.01") for seed in (0, 1)
    ]
    assert {job.config["train"]["epochs"] for job in jobs} == {3}
    assert [job.config["seed"] for job in jobs] == [0, 1, 0, 1]
    assert jobs[0].folder == tmp_path / "runs" / jobs[0].name
    for job in jobs:  # the words alone make the same config again
        assert load_config(PretrainConfig, config, job.words).model_dump(mode="json") == job.config


def test_brackets_and_quotes_hold_a_value_together(config: Path) -> None:
    crops = plan(PretrainConfig, config, ["data.crop=[0.5,1.0],[1.0, 1.0]"])
    assert [job.config["data"]["crop"] for job in crops] == [[0.5, 1.0], [1.0, 1.0]]
    assert [job.name for job in crops] == ["tiny-data.crop_0.5_1.0", "tiny-data.crop_1.0_1.0"]
    assert plan(PretrainConfig, config, ["data.crop=[0.5, 1.0]"])[0].name == "tiny"
    rows = plan(
        PretrainConfig, config, ["augment=[],[{name: rotate}]", "data.split='unseen',xsub", "init_from=~,runs/a"]
    )
    assert len(rows) == 8
    assert rows[4].config["augment"][0]["name"] == "rotate"
    assert rows[0].config["init_from"] is None
    assert all("/" not in job.name for job in rows)
    assert plan(PretrainConfig, config, ['data.store="a,b"'])[0].config["data"]["store"] == "a,b"


def test_names_that_would_fall_together_or_grow_too_long(config: Path) -> None:
    found = names(config, "init_from=runs/a,runs:a,RUNS/A")
    assert len({name.casefold() for name in found}) == 3
    assert all(name.casefold().startswith("tiny-init_from_runs_a-") for name in found)
    long = names(config, "init_from=" + "a" * 300 + "," + "a" * 301)
    assert len(set(long)) == 2
    assert max(map(len, long)) < 150
    assert names(config, "name=other", "seed=1,2") == ["other-seed_1", "other-seed_2"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["seed"], "'seed': values must be written"),
        (["seed="], "seed: has no value"),
        (["seed=1,,2"], "seed: is not YAML"),
        (["seed=0,1", "seed=2,3"], "seed: is given twice"),
        (["seed=1,1"], "a value is given twice"),
        (["name=a,b"], "name: takes one value"),
        (["sed=0,1"], "sed: unknown key; did you mean 'seed'"),
        (["seed=0,many"], "seed: .*'many'"),
    ],
)
def test_mistakes_are_found_before_anything_runs(config: Path, words: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        plan(PretrainConfig, config, words)


def test_one_that_fails_does_not_end_the_others(config: Path, tmp_path: Path, capfd) -> None:
    jobs = plan(PretrainConfig, config, ["seed=0,1,2"])
    outcome = run_all(jobs, play(tmp_path, jobs, **{"1": "fail"}), ["resume=auto"])
    assert outcome.failed == ("tiny-seed_1: failed with exit code 3",)
    assert outcome.stopped == 0
    assert called(tmp_path) == [f"tiny-seed_{seed} resume=auto" for seed in range(3)]
    assert [line for line in capfd.readouterr().err.splitlines() if "/3 " in line] == [
        f"{seed + 1}/3 tiny-seed_{seed}" for seed in range(3)
    ]
    # Again: only the one that is not finished.
    assert run_all(jobs, play(tmp_path, jobs)).failed == ()
    assert called(tmp_path)[3:] == ["tiny-seed_1"]
    assert "3/3 tiny-seed_2: finished already" in capfd.readouterr().err


def test_only_the_same_config_counts_as_finished(config: Path, tmp_path: Path) -> None:
    jobs = plan(PretrainConfig, config, ["seed=0,1"])
    run_all(jobs, play(tmp_path, jobs))
    assert all(job.done() for job in plan(PretrainConfig, config, ["seed=0,1", "train.log_every=3"]))
    assert not any(job.done() for job in plan(PretrainConfig, config, ["seed=0,1", "train.epochs=2"]))


def test_a_run_of_a_release_with_fewer_options_counts_as_finished(config: Path, tmp_path: Path) -> None:
    (job,) = plan(PretrainConfig, config, [])
    run_all([job], play(tmp_path, [job]))
    kept = yaml.safe_load((job.folder / "config.yaml").read_text())
    del kept["train"]["ema"], kept["pretext"]["decoder"]
    (job.folder / "config.yaml").write_text(yaml.safe_dump(kept))
    assert job.done()
    (job.folder / "config.yaml").write_text(yaml.safe_dump(kept | {"seed": 1}))
    assert not job.done()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_run_that_goes_on_and_nothing_more_is_begun(
    config: Path, tmp_path: Path, number: signal.Signals
) -> None:
    jobs = plan(PretrainConfig, config, ["seed=0,1,2"])
    program = play(tmp_path, jobs, **{"1": "wait"})
    waiting = jobs[1].folder

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while not (waiting / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    inherited = signal.signal(number, signal.default_int_handler)  # a shell's background jobs ignore SIGINT
    threading.Thread(target=interrupt).start()
    try:
        outcome = run_all(jobs, program)
        after = signal.getsignal(number)
    finally:
        signal.signal(number, inherited)
    assert outcome.stopped == number
    assert outcome.failed == ()
    assert (waiting / "checkpoint").read_text() == str(int(number))
    assert called(tmp_path) == ["tiny-seed_0", "tiny-seed_1"]
    assert after is signal.default_int_handler


def test_the_command(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = plan(PretrainConfig, config, ["seed=0,1"])
    words = (config, "seed=0,1")
    lines = call(*words, "--print").stdout.splitlines()
    assert lines[0] == shlex.join(["ssl-skel", "pretrain", str(config), "seed=0", "name=tiny-seed_0", "resume=auto"])
    assert not (tmp_path / "runs").exists()

    monkeypatch.setattr(module, "program", lambda verb, path: play(tmp_path, jobs, **{"1": "fail"}))
    failed = call(*words)
    assert failed.exit_code == 1
    table = {line.split()[0]: line for line in failed.stdout.splitlines()}
    assert "finished" in table["tiny-seed_0"]
    assert "no checkpoint" in table["tiny-seed_1"]
    assert "tiny-seed_1: failed with exit code 3" in failed.stderr
    assert call(*words, "--print").stdout.splitlines()[0].endswith("# finished already")
    monkeypatch.setattr(module, "program", lambda verb, path: play(tmp_path, jobs))
    assert call(*words).exit_code == 0


CONFIGS = sorted(path for verb in ("pretrain", "finetune") for path in Path("configs", verb).glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_the_verb_is_told_by_the_keys(path: Path) -> None:
    assert call(path, "--print").stdout.startswith(f"ssl-skel {path.parent.name} {path} ")


@pytest.mark.slow
def test_real_runs(config: Path) -> None:
    program = [sys.executable, "-m", "ssl_skel.cli.app", "sweep", str(config), "data.split=nowhere,unseen"]
    first = subprocess.run(program, capture_output=True, text=True, check=False, timeout=300)
    assert first.returncode == 1
    assert first.stderr.count("failed with exit code 2") == 2  # at once, and again at the end
    assert first.stdout.count(" finished ") == 1
    again = subprocess.run(program, capture_output=True, text=True, check=False, timeout=300)
    assert again.stderr.count("finished already") == 1
