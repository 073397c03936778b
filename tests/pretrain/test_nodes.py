"""Two launchers, as on two machines with one folder, against one that restarts after a process was killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def launch(config: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "pretrain", str(config), "resume=auto"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


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
    complaints = [launcher.communicate(timeout=240)[1] for launcher in launchers]
    assert [launcher.returncode for launcher in launchers] == [0] * len(launchers), complaints
    return (config.parent / "tiny" / "encoder" / "encoder.safetensors").read_bytes()


def kill_a_process(launcher: subprocess.Popen[str], checkpoints: Path) -> None:
    """Of a launcher, once there is a checkpoint that it can go on from."""
    while not list(checkpoints.glob("step_*")):
        assert launcher.poll() is None, launcher.communicate()
        time.sleep(0.02)
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found in /proc")
def test_two_nodes_and_a_restart_give_the_same_weights(tmp_path: Path, motions: Path) -> None:
    one = write(tmp_path / "one", motions)
    launcher = launch(one, "--standalone", "--nproc-per-node=2", "--max-restarts=3")
    kill_a_process(launcher, one.parent / "tiny" / "checkpoints")
    again = weights(one, [launcher])
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    two = write(tmp_path / "two", motions)
    options = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{port}"]
    nodes = [launch(two, *options, f"--local-addr={name}") for name in ("localhost", "127.0.0.1")]
    assert weights(two, nodes) == again
