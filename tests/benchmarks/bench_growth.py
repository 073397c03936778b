"""Time and memory of each step of a project as its clips grow tenfold: time should be linear, memory flat.

pytest tests/benchmarks/bench_growth.py -o python_files='bench_*.py' -m '' -s     # 1,000 and 10,000 clips
python -m tests.benchmarks.bench_growth results/growth.json 1000 10000 100000 1000000     # the same, kept
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.data.audit.inspection import audit
from ssl_skel.data.convert import convert
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.shards import merge_shards
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import save_encoder
from ssl_skel.layouts import LAYOUTS
from ssl_skel.retrieval.build import build_index
from ssl_skel.retrieval.index import MotionIndex

LAYOUT = LAYOUTS["sbu15"]
FRAMES, QUERIES, PARTS, IN_ONE = 16, 100, 2, 50_000
COMMAND = "python -m tests.benchmarks.bench_growth results/growth.json"


def write_raw(folder: Path, clips: int) -> None:
    """``.npz`` of bodies of human size that sway, each of another shape and in another way; 50,000 at most in one."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.1, (15, 3)).astype(np.float32)
    sway = np.sin(np.linspace(0, 6, FRAMES))[:, None, None].astype(np.float32)
    files = PARTS * max(1, clips // (PARTS * IN_ONE))
    for part in range(files):
        count = clips // files
        joints = np.lib.format.open_memmap(folder / "joints.npy", "w+", np.float32, (count * FRAMES, 15, 3))
        for at in range(count):
            body = pose + rng.normal(0, 0.1, (15, 3)).astype(np.float32)
            move = sway * rng.normal(0, 0.05, (15, 3)).astype(np.float32)
            joints[at * FRAMES : (at + 1) * FRAMES] = body + move
        names = np.array([f"c{part}_{at}" for at in range(count)])
        np.savez(folder / f"{part}.npz", joints=joints, frames=np.full(count, FRAMES), name=names)
        (folder / "joints.npy").unlink()


def write_encoder(path: Path) -> None:
    """A small network, untrained."""
    torch.manual_seed(0)
    config = MPAENetConfig(channels=(8,), strides=(4,), heads=2, norm="layer")
    encoder = build_encoder(config, LAYOUT, channels=3, num_frames=FRAMES, stream="pose")
    save_encoder(path / "encoder", encoder, EncoderCard.of(encoder, normalization=NormalizeConfig()))


def _convert(room: Path, store: str, **options: Any) -> None:
    how = {"normalize": NormalizeConfig(), "layout": "sbu15", "progress": False}
    convert("npz", room / "raw", room / store, **how, **options)


def _merge_shards(room: Path) -> None:
    merge_shards([room / "part1", room / "part2"], room / "joined", progress=False)


def _load(room: Path) -> None:
    store = Store.open(room / "store")
    for _ in ClipLoader(store, range(len(store)), num_frames=FRAMES, batch_size=256, shuffle=True).epoch():
        pass


def _search(room: Path) -> None:
    index = MotionIndex.open(room / "index")
    index.search_vectors(np.asarray(index.vectors[:: len(index) // QUERIES][:QUERIES]), 10)


STEPS: dict[str, Callable[[Path], Any]] = {
    "convert": lambda room: _convert(room, "store"),
    "open": lambda room: Store.open(room / "store"),
    "audit": lambda room: audit(room / "store", progress=False),
    "load an epoch": _load,
    "index": lambda room: build_index(room / "run", room / "store", room / "index"),
    f"search, {QUERIES} queries": _search,
    "convert part 1/2": lambda room: _convert(room, "part1", shard=(1, 2)),
    "convert part 2/2": lambda room: _convert(room, "part2", shard=(2, 2)),
    "merge-shards": _merge_shards,
}


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Most megabytes that this process had for itself, beyond those at the start: mapped files do not count."""

    def own() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

    found, over, first = [0.0], threading.Event(), own()

    def watch() -> None:
        while not over.wait(0.01):
            found[0] = max(found[0], own() - first)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        found[0] = max(found[0], own() - first)
        over.set()
        thread.join()


def measure(step: str, room: Path) -> dict[str, float]:
    """Seconds, those of a core that were spent, and megabytes of one step; for a process of its own."""
    torch.set_num_threads(1)
    with peak_memory() as peak:
        begin, spent = time.perf_counter(), time.process_time()
        STEPS[step](room)
        seconds, spent = time.perf_counter() - begin, time.process_time() - spent
    return {"seconds": round(seconds, 4), "core_seconds": round(spent, 4), "megabytes": round(peak[0], 1)}


def figures(sizes: list[int], folder: Path) -> Iterator[dict[str, Any]]:
    """``measure`` of each step with so many clips, each in a process of its own."""
    for clips in sizes:
        room = folder / str(clips)
        room.mkdir()
        write_raw(room / "raw", clips)
        write_encoder(room / "run")
        for step in STEPS:
            program = "import json, sys; from pathlib import Path; from tests.benchmarks.bench_growth import measure; "
            program += "print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))"
            words = [sys.executable, "-c", program, step, str(room)]
            done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
            yield {"step": step, "clips": clips, **json.loads(done.stdout.splitlines()[-1])}
        shutil.rmtree(room)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_time_and_memory_of_ten_times_the_clips(tmp_path: Path) -> None:
    """Nothing takes more than twenty times as long for ten times the clips, or a kilobyte of memory more for each."""
    rows = list(figures([1_000, 10_000], tmp_path))
    for step in STEPS:
        small, large = (row for row in rows if row["step"] == step)
        assert large["seconds"] < 20 * small["seconds"] + 1, step
        assert large["megabytes"] - small["megabytes"] < 9, step


if __name__ == "__main__":
    target, *numbers = sys.argv[1:]
    facts: dict[str, Any] = {
        "what": f"seconds, core seconds and megabytes of own memory of each step; clips of {FRAMES} frames; one thread",
        "command": " ".join([COMMAND, *numbers]),
        "machine": "two-core AMD, shared",
        "rows": [],
    }
    with tempfile.TemporaryDirectory() as here:
        for row in figures([int(number) for number in numbers], Path(here)):
            print(row, flush=True)
            facts["rows"].append(row)
            Path(target).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
