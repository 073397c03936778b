"""Raw NTU text: files a second, beside the way of the field, line by line.

pytest tests/benchmarks/bench_readers.py -o python_files='bench_*.py' --benchmark-only -s
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers import READERS
from ssl_skel.data.readers.ntu import NtuOptions

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

FILES, FRAMES = 12, 90  # a clip of NTU has 85 frames on average


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every third file shows two persons."""
    from raw_files import ntu, walk

    folder = tmp_path_factory.mktemp("ntu")
    for number in range(FILES):
        ntu(folder, f"S001C001P{number + 1:03}R001A013", walk(number, FRAMES, persons=2 - (number % 3 > 0)).round(6))
    return folder


def line_by_line(file: Path) -> dict[str, np.ndarray]:
    """As CTR-GCN reads a file (data/ntu/get_raw_skes_data.py, get_raw_bodies_data), its colour coordinates too."""
    lines = file.read_text("ascii").splitlines(keepends=True)
    bodies: dict[str, dict[str, np.ndarray]] = {}
    at = 1
    for _ in range(int(lines[0].strip("\r\n"))):
        count = int(lines[at].strip("\r\n"))
        at += 1
        for _ in range(count):
            body = lines[at].strip("\r\n").split()[0]
            at += 1
            number = int(lines[at].strip("\r\n"))
            at += 1
            joints, colors = np.zeros((number, 3), np.float32), np.zeros((1, number, 2), np.float32)
            for joint in range(number):
                words = lines[at].strip("\r\n").split()
                joints[joint] = np.array(words[:3], np.float32)
                colors[0, joint] = np.array(words[5:7], np.float32)
                at += 1
            if body not in bodies:
                bodies[body] = {"joints": joints, "colors": colors}
            else:
                bodies[body]["joints"] = np.vstack((bodies[body]["joints"], joints))
                bodies[body]["colors"] = np.vstack((bodies[body]["colors"], colors))
    return {body: data["joints"] for body, data in bodies.items()}


def test_ntu(benchmark: BenchmarkFixture, folder: Path) -> None:
    reader = READERS["ntu"](folder, None, NtuOptions(denoise=False))  # what is noise is told by another script there
    files = reader.files()

    def read() -> list[np.ndarray]:
        return [clip.joints for file in files for clip in reader.read(file) if isinstance(clip, RawClip)]

    for file, joints in zip(files, read(), strict=True):
        expected = line_by_line(file)
        found = {person.tobytes() for person in joints}
        assert found == {person.tobytes() for person in expected.values()}
    slow, fast = [], []
    for _ in range(9):  # by turns, in time of the processor, so that a busy machine hurts little
        begin = time.process_time()
        for file in files:
            line_by_line(file)
        middle = time.process_time()
        read()
        slow.append(middle - begin)
        fast.append(time.process_time() - middle)
    benchmark(read)
    times = float(min(slow) / min(fast))
    benchmark.extra_info |= {
        "files_a_second": round(FILES / min(fast)),
        "times_line_by_line": round(times, 1),
    }
    print(f"\nNTU raw: {benchmark.extra_info}")
    assert times >= 7  # 9 to 10 on a busy machine
