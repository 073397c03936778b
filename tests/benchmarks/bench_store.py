"""Opening a store: milliseconds, and no coordinates are read.

pytest tests/benchmarks/bench_store.py -o python_files='bench_*.py' --benchmark-only
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from ssl_skel.data.readers.base import RawClip
from ssl_skel.data.store import Store, StoreWriter
from ssl_skel.layout import LAYOUTS

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


def resident_bytes() -> int:
    """Peak memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def test_open(benchmark: BenchmarkFixture, path: Path) -> None:
    before = resident_bytes()
    store = benchmark(Store.open, path)
    grown = resident_bytes() - before
    benchmark.extra_info |= {"store_megabytes": store.joints.nbytes >> 20, "memory_grown_megabytes": grown >> 20}
    print(f"\nopening {CLIPS} clips: {benchmark.extra_info}")
    assert grown < store.joints.nbytes / 4
