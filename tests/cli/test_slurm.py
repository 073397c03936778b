"""Commands as jobs of a cluster, by submitit's executor that runs them here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from ssl_skel.cli.slurm import Command, _parts, submit, words_of_job
from ssl_skel.data.shards import merge_shards
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError


def write(folder: Path, store: Path, epochs: int) -> Path:
    data = {
        "name": "tiny",
        "data": {"store": str(store), "num_frames": 16},
        "backbone": {"name": "mpae_net", "channels": [16], "strides": [4], "norm": "layer"},
        "pretext": {"name": "skeleton_mae", "decoder_dim": 16},
        "train": {"epochs": epochs, "batch_size": 6, "eval_every": 0, "device": "cpu", "progress": False},
        "runs": str(folder),
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(data), "utf-8")
    return folder / "tiny.yaml"


def test_a_job_is_the_command_line_without_the_option(tmp_path: Path) -> None:
    words = ["split", "--slurm", f"cluster=local,folder={tmp_path}/jobs", "nowhere"]
    assert words_of_job("split", words) == ["split", "nowhere"]
    program = "from ssl_skel.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "index", "box/mpae_net", "nowhere", "-o", "x", *words[1:3]],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    number, file = done.stdout.strip().removeprefix("submitted: job ").split("; its output: ")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "jobs" / number).glob("*_result.pkl")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "error: nowhere: no store there" in Path(file).read_text("utf-8")


def test_what_is_not_understood_is_one_line(tmp_path: Path) -> None:
    for text, message in (
        ("gpus", "'gpus': is written key=value"),
        ("gpu=1", "unknown option 'gpu'; did you mean 'gpus'"),
        ("gpus=two", "gpus: give a whole number"),
        ("time=soon", "time: give minutes or hours:minutes:seconds"),
        ("cluster=pbs", "unknown cluster 'pbs'"),
        ("shards=0", "shards: give at least 1"),
        ("shards=2,cluster=debug", "write {shard} in the output's path"),
        (f"partition=gpu,folder={tmp_path}", "cluster=local runs the job here"),
    ):
        with pytest.raises(UserError, match=message) as told:
            submit(["index", "x"], text)
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("command", ["convert", "index", "embed"])
def test_commands_that_are_done_in_parts(command: str) -> None:
    asked = [command, "x", "y", "-o", "parts/{shard}.npz"]
    wanted = [[command, "x", "y", "-o", f"parts/{number}.npz", "--shard", f"{number}/2"] for number in (1, 2)]
    assert _parts(asked, 2) == wanted


def test_an_array_does_a_conversion_in_parts(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for name in "abc":
        np.save(tmp_path / "raw" / f"{name}.npy", np.random.default_rng(0).normal(size=(5, 20, 3)).astype(np.float32))
    options = ["--layout", "kinect20", "--slurm", "cluster=local,shards=2,folder=jobs"]
    program = "from ssl_skel.cli.app import main; main()"
    words = [sys.executable, "-c", program, "convert", "npy", "raw", "parts/{shard}", *options]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 2, done.stderr
    parts = [tmp_path / "parts" / number for number in "12"]
    deadline = time.monotonic() + 240
    while len(list((tmp_path / "jobs").glob("*/*_result.pkl"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert Store.open(merge_shards(parts, tmp_path / "whole", progress=False)).name.tolist() == ["a", "b", "c"]


def test_a_job_that_must_end_goes_on_in_the_next_one(tmp_path: Path, motions: Path) -> None:
    """What submitit does at the end of a job's time: ``checkpoint``, and later the command that it gave."""
    job = Command(["pretrain", str(write(tmp_path, motions, 60)), "--quiet"])
    failed: list[RuntimeError] = []

    def run() -> None:
        try:
            job()
        except RuntimeError as error:
            failed.append(error)

    before = signal.getsignal(signal.SIGUSR2)
    thread = threading.Thread(target=run)
    monkey = signal.signal
    signal.signal = lambda *given: before  # type: ignore[assignment]  # only the main thread may set one
    try:
        thread.start()
        while not (tmp_path / "tiny" / "log.jsonl").exists():
            time.sleep(0.05)
        again = job.checkpoint()
        thread.join()
    finally:
        signal.signal = monkey  # type: ignore[assignment]
    assert "exit code 143" in str(failed[0])
    assert list((tmp_path / "tiny" / "checkpoints").glob("step_*"))
    assert again.function.words == [*job.words, "resume=auto"]
    assert again.function() == 0
    assert (tmp_path / "tiny" / "encoder" / "card.json").is_file()
