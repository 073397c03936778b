"""The script for a GPU runs whole on a CPU, so that it does on the day when somebody has a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent


@pytest.mark.slow
def test_it_runs_to_its_end(tmp_path: Path) -> None:
    words = ["--device", "cpu", "--small", "--minutes", "0.1", "-o", tmp_path / "found.json"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *words], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert found["equal"]["largest"] == 0.0
    assert found["resume"] == {"largest difference of a weight": 0.0, "exit code when stopped": 143}
    assert min(found["loader"].values()) > 0
    assert [len(found["side by side"][name]) for name in ("alone", "two at once")] == [1, 2]
    assert found["steps"][0]["pretext"] == "mamp"
    assert found["steps"][0]["of MAMP's fp32 step"] == 1.0
    assert not [row for row in found["steps"] if "error" in row]


@pytest.mark.skipif("__import__('torch').cuda.is_available()", reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: --device: no GPU here")
