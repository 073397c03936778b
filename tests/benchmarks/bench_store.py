"""Opening a store: milliseconds, and no coordinates are read.

pytest tests/benchmarks/bench_store.py -o python_files='bench_*.py' --benchmark-only
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from ssl_skel.data.clip import RawClip
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.layouts import LAYOUTS

LAYOUT = LAYOUTS["ntu25"]
CLIPS, FRAMES = 10_000, 90


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 10,000 clips, 270 MB."""
    path = tmp_path_factory.mktemp("stores") / "large"
    joints = np.random.default_rng(0).normal(size=(1, FRAMES, LAYOUT.num_joints, 3)).astype("f4")
    with StoreWriter(path, LAYOUT, ("action",)) as writer:
        for number in range(CLIPS):
            writer.add(RawClip(f"clip{number:05}", joints, label=0), content=number)
    return path


def test_open(benchmark: BenchmarkFixture, path: Path) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    store = Store.open(path)
    grown = process.memory_info().rss - before
    benchmark(Store.open, path)
    benchmark.extra_info |= {"store_megabytes": store.joints.nbytes >> 20, "memory_megabytes": grown >> 20}
    print(f"\nopening {CLIPS} clips: {benchmark.extra_info}")
    assert grown < store.joints.nbytes / 4
