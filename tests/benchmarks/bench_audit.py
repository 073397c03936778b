"""Peak memory of an audit at 1,000, 10,000 and 100,000 clips.

pytest tests/benchmarks/bench_audit.py -o python_files='bench_*.py' -m '' -s
python -m tests.benchmarks.bench_audit results/audit_memory.json     # the same, kept
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_skel.data.audit.inspection import audit
from ssl_skel.data.clip import RawClip
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.layouts import LAYOUTS

SIZES = (1_000, 10_000, 100_000)
FRAMES = 12
COMMAND = "python -m tests.benchmarks.bench_audit results/audit_memory.json"


def write(path: Path, clips: int) -> None:
    """A store of people who stand and tremble, each of another shape: nothing is a duplicate."""
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.4, (15, 3)).astype(np.float32)
    with StoreWriter(path, LAYOUTS["sbu15"], ["a"]) as writer:
        for number in range(clips):
            body = pose + rng.normal(0, 0.1, (15, 3)).astype(np.float32)
            trembling = rng.normal(0, 0.01, (1, FRAMES, 15, 3)).astype(np.float32)
            writer.add(RawClip(f"c{number}", body + trembling, 0))


def peak() -> float:
    """Megabytes of memory that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(path: Path) -> dict[str, float]:
    """Clips of a store, and peak memory in MB before an audit of it and after; for a process of its own."""
    store = Store.open(path)
    before = peak()
    audit(path, progress=False)
    return {"clips": len(store), "before": round(before, 1), "after": round(peak(), 1)}


def figures(folder: Path) -> list[dict[str, Any]]:
    """``measure`` of stores of each size, each in a process of its own."""
    found = []
    for clips in SIZES:
        path = folder / str(clips)
        write(path, clips)
        words = [sys.executable, "-m", "tests.benchmarks.bench_audit", "--measure", str(path)]
        found.append(json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout))
        found[-1]["joints_megabytes"] = round((path / "joints.npy").stat().st_size / 2**20, 1)
        print(found[-1])
    return found


@pytest.mark.slow
def test_memory_hardly_grows(tmp_path: Path) -> None:
    small, _, large = figures(tmp_path)
    assert (large["after"] - small["after"]) / (large["clips"] - small["clips"]) < 0.002  # MB a clip


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        print(json.dumps(measure(Path(sys.argv[2]))))
    else:
        with tempfile.TemporaryDirectory() as place:
            rows = figures(Path(place))
        told = {
            "what": f"peak memory of ssl-skel audit, clips of {FRAMES} frames, MB",
            "command": COMMAND,
            "rows": rows,
        }
        Path(sys.argv[1]).write_text(json.dumps(told, indent=1) + "\n")
