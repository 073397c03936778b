"""``ssl-skel pretrain`` as a user runs it: in processes of its own, killed, and on two ranks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pretrain.__main__ import command
from pretrain.config import PretrainConfig
from pretrain.run import run
from ssl_skel.config import load_config

ROOT = Path(__file__).parents[2]
PLAIN = [sys.executable, "-m", "pretrain"]
TWO_RANKS = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "pretrain"]


def write(folder: Path, store: Path, epochs: int = 2) -> Path:
    """A config of a very small network whose norms do not mix samples."""
    data = {
        "name": "tiny",
        "data": {"store": str(store), "split": "unseen", "num_frames": 16},
        "augment": [{"name": "rotate"}],
        "backbone": {"name": "mpae_net", "channels": [16], "strides": [4], "norm": "layer"},
        "pretext": {"name": "skeleton_mae", "decoder_dim": 16},
        "train": {"epochs": epochs, "batch_size": 6, "eval_every": 0, "checkpoint_every": 1, "device": "cpu"},
        "runs": str(folder),
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(data), "utf-8")
    return path


def environment() -> dict[str, str]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(torch.get_num_threads()))
    return {**os.environ, **threads, "PYTHONWARNINGS": "error"}


def call(program: list[str], *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, *map(str, words)], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300
    )


def losses(folder: Path) -> list[float]:
    lines = (folder / "tiny" / "log.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]


def encoder(folder: Path) -> bytes:
    return (folder / "tiny" / "encoder" / "encoder.safetensors").read_bytes()


def reference(tmp_path: Path, motions: Path, epochs: int) -> Path:
    """The same run, never stopped, in this process."""
    folder = tmp_path / "reference"
    folder.mkdir()
    run(load_config(PretrainConfig, write(folder, motions, epochs)))
    return folder


def test_help_imports_no_torch():
    program = "import sys; from pretrain.__main__ import command; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_print_config_shows_overrides_and_runs_nothing(motions, tmp_path, capsys):
    command(write(tmp_path, motions), ["optim.lr=5e-4", "resume=auto"], print_config=True)
    config: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    assert config["optim"]["lr"] == 5e-4
    assert config["data"]["crop"] == [0.5, 1.0]
    assert "resume" not in config
    assert not (tmp_path / "tiny").exists()


def test_a_mistake_is_one_line_and_exit_code_2(motions, tmp_path):
    failed = call(PLAIN, write(tmp_path, motions), "train.epoch=3")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.count("\n") == 1
    assert "train.epoch: unknown key; did you mean 'epochs'" in failed.stderr


@pytest.mark.parametrize("program", ["pretrain", "finetune"])
def test_a_wrong_option_of_either_program_is_one_line(program):
    failed = call([sys.executable, "-m", program], "--nonsense")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("error: No such option: --nonsense")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system that can kill")
def test_killed_and_resumed_ends_with_the_same_weights(motions, tmp_path):
    epochs = 15
    path = write(tmp_path, motions, epochs)
    process = subprocess.Popen(
        [*PLAIN, str(path)], cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 240
    while not list((tmp_path / "tiny").glob("checkpoints/step_*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "tiny" / "encoder").exists()

    resumed = call(PLAIN, path, "resume=auto")
    assert resumed.returncode == 0, resumed.stderr
    whole = reference(tmp_path, motions, epochs)
    assert losses(tmp_path) == losses(whole)
    assert encoder(tmp_path) == encoder(whole)


def test_two_ranks_train_as_one(motions, tmp_path):
    trained = call(TWO_RANKS, write(tmp_path, motions))
    assert trained.returncode == 0, trained.stderr
    one = reference(tmp_path, motions, 2)
    assert losses(tmp_path) == pytest.approx(losses(one), rel=1e-4)
    assert (tmp_path / "tiny" / "encoder" / "card.json").exists()
