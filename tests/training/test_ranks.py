from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import records, toy_fit, weights

TOY = Path(__file__).with_name("toy.py")
RUNS: dict[str, dict[str, Any]] = {
    "plain": {},
    "micro": {"accumulate": 2, "ema": 0.8, "clips": 48, "optim": {"clip_grad": 0.5}},
    "uneven": {"clips": 21, "drop_last": False, "precision": "bf16"},
    "stopped": {"clips": 80, "log_every": 4},
}


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All RUNS, by two processes that talk over gloo. "stopped" gets SIGTERM on one rank and is resumed."""
    folder = tmp_path_factory.mktemp("ranks")
    runs = {name: {"dropout": 0.0, **options} for name, options in RUNS.items()}
    runs["stopped"]["stop_at"] = 0.6
    command = [sys.executable, "-W", "error", "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    launcher = subprocess.Popen(
        [*command, str(TOY), str(folder), json.dumps(runs)], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        _, complaint = launcher.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        launcher.terminate()  # it ends its ranks; killed, it would leave them
        _, complaint = launcher.communicate()
    assert launcher.returncode == 0, complaint
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_two_ranks_are_one(two_ranks: Path, tmp_path: Path, name: str) -> None:
    options = {"dropout": 0.0, **RUNS[name]}
    task = toy_fit(tmp_path / name, **options)
    ours, theirs = records(tmp_path / name), records(two_ranks / name)
    assert [record["epoch"] for record in theirs] == [record["epoch"] for record in ours]
    tolerance = 1e-2 if options.get("precision") == "bf16" else 1e-5
    for key in ("loss", "size", "grad_norm", "lr"):
        assert [r[key] for r in theirs] == pytest.approx([r[key] for r in ours], rel=tolerance)
    if tolerance < 1e-3:
        other = torch.load(two_ranks / f"{name}.pt", weights_only=True)
        torch.testing.assert_close(other, weights(task), rtol=1e-4, atol=1e-5)
