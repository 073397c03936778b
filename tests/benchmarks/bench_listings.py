"""Start-up of the command line, and lists of many runs and evaluations: CPU seconds of a process."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RUNS, EVALUATIONS = 1000, 500
PRETRAIN = """
name: run0
runs: {room}/runs
data: {{store: {store}, num_frames: 16, split: xsub}}
backbone: {{name: tcn, size: tiny}}
pretext: {{name: psp, levels: [time], projection_norm: batch}}
train: {{epochs: 2, batch_size: 64, eval_every: 0, progress: false, device: cpu}}
"""
FINETUNE = """
name: run0
runs: {room}/evaluations
data: {{store: {store}}}
encoders: {{xsub: {room}/runs/run0}}
protocols: [{{name: knn, ks: [1]}}]
"""


def spent(*words: object) -> float:
    """CPU seconds of ``ssl-skel WORDS`` in a process of its own, which has to succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "ssl_skel", *map(str, words)], capture_output=True, check=False)
    assert not done.returncode, done.stderr.decode()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def copy(first: Path, number: int) -> None:
    """Links to the files of ``run0`` under the names ``run1`` and so on; each has a config of its own."""
    config = (first / "config.yaml").read_text("utf-8")
    for at in range(1, number):
        path = first.with_name(f"run{at}")
        shutil.copytree(first, path, copy_function=os.link)
        (path / "config.yaml").unlink()
        (path / "config.yaml").write_text(config.replace("name: run0\n", f"name: run{at}\n", 1), "utf-8")


@pytest.fixture(scope="module")
def folders(motions: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of many pretraining runs, and of evaluations of one of them."""
    room = tmp_path_factory.mktemp("many")
    for verb, text, runs, number in (
        ("pretrain", PRETRAIN, "runs", RUNS),
        ("finetune", FINETUNE, "evaluations", EVALUATIONS),
    ):
        config = room / f"{runs}.yaml"
        config.write_text(text.format(store=motions, room=room), "utf-8")
        spent(verb, config)
        copy(room / runs / "run0", number)
    return room / "runs", room / "evaluations"


def test_help_and_lists(benchmark: Callable, folders: tuple[Path, Path]) -> None:
    runs, evaluations = folders
    measured = {
        "--help": lambda: spent("--help"),
        f"runs, {RUNS} of them, the first time": lambda: spent("runs", runs),
        "runs, again": lambda: spent("runs", runs),
        f"report, {EVALUATIONS} evaluations": lambda: spent("report", *sorted(evaluations.glob("run*"))),
    }
    figures: dict[str, float] = {}
    benchmark.pedantic(lambda: figures.update({name: measure() for name, measure in measured.items()}), rounds=1)
    benchmark.extra_info.update({name: round(seconds, 2) for name, seconds in figures.items()})
