"""One launcher, and two as on two machines with one folder: each restarts after a process was killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Starts a launcher: (config, options). Whatever is left of it when the test ends is killed."""
    launchers = []

    def start(config: Path, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "pretrain", str(config)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        launchers.append(
            subprocess.Popen([*command, "resume=auto"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        )
        return launchers[-1]

    yield start
    for launcher in launchers:
        for process in [*children(launcher), launcher.pid] if launcher.poll() is None else []:
            os.kill(process, signal.SIGKILL)
        launcher.communicate()


def write(folder: Path, store: Path) -> Path:
    folder.mkdir()
    data = {
        "name": "tiny",
        "data": {"store": str(store), "num_frames": 16},
        "backbone": {"name": "mpae_net", "channels": [16], "strides": [4], "norm": "layer"},
        "pretext": {"name": "skeleton_mae", "decoder_dim": 16},
        "train": {"epochs": 20, "batch_size": 6, "eval_every": 0, "checkpoint_every": 1, "device": "cpu"},
        "runs": str(folder),
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(data), "utf-8")
    return folder / "tiny.yaml"


def weights(config: Path, launchers: list[subprocess.Popen[str]]) -> bytes:
    complaints = [launcher.communicate(timeout=480)[1] for launcher in launchers]
    assert [launcher.returncode for launcher in launchers] == [0] * len(launchers), complaints
    return (config.parent / "tiny" / "encoder" / "encoder.safetensors").read_bytes()


def kill_a_process(launcher: subprocess.Popen[str], checkpoints: Path) -> None:
    """Of a launcher, once there is a checkpoint that it can go on from."""
    while not list(checkpoints.glob("step_*")):
        assert launcher.poll() is None, launcher.communicate()
        time.sleep(0.02)
    os.kill(children(launcher)[-1], signal.SIGKILL)


def children(launcher: subprocess.Popen[str]) -> list[int]:
    return [int(child) for child in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found in /proc")
def test_restarts_of_one_launcher_and_of_two_give_the_same_weights(
    tmp_path: Path, motions: Path, launch: Launch
) -> None:
    one = write(tmp_path / "one", motions)
    launcher = launch(one, "--standalone", "--nproc-per-node=2", "--max-restarts=3")
    kill_a_process(launcher, one.parent / "tiny" / "checkpoints")
    again = weights(one, [launcher])
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    two = write(tmp_path / "two", motions)
    options = [
        "--nnodes=2",
        "--nproc-per-node=1",
        "--max-restarts=3",
        "--rdzv-backend=c10d",
        f"--rdzv-endpoint=localhost:{port}",
    ]
    nodes = [launch(two, *options, f"--local-addr={name}") for name in ("localhost", "127.0.0.1")]
    kill_a_process(nodes[0], two.parent / "tiny" / "checkpoints")
    assert weights(two, nodes) == again
