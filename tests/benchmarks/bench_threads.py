"""Two trainings side by side, each with a thread for every core, against one that has the machine to itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CONFIG = {
    "data": {"num_frames": 32},
    "backbone": {"name": "mpae_net", "size": "tiny", "norm": "layer"},
    "pretext": {"name": "skeleton_mae"},
    "train": {"epochs": 12, "batch_size": 32, "eval_every": 0, "progress": False, "device": "cpu"},
}


def speeds(folder: Path, store: Path, names: list[str], **environment: str) -> list[float]:
    """Clips a second of trainings that run at the same time, in the epochs after the first."""
    running = []
    for name in names:
        config = CONFIG | {"name": name, "runs": str(folder), "data": {**CONFIG["data"], "store": str(store)}}
        (folder / f"{name}.yaml").write_text(json.dumps(config), "utf-8")
        words = [sys.executable, "-m", "pretrain", str(folder / f"{name}.yaml")]
        own = {key: value for key, value in os.environ.items() if not key.startswith("OMP_")}
        running.append(subprocess.Popen(words, env=own | environment))
    assert [process.wait() for process in running] == [0] * len(names)
    logs = [(folder / name / "log.jsonl").read_text("utf-8").splitlines()[1:] for name in names]
    return [sum(json.loads(line)["clips_per_second"] for line in lines) / len(lines) for lines in logs]


def test_side_by_side(benchmark, motions, tmp_path):
    found: dict[str, list[list[float]]] = {"alone": [], "side by side": [], "side by side, spinning": []}

    def each() -> None:
        number = len(found["alone"])
        found["alone"].append(speeds(tmp_path, motions, [f"alone{number}"]))
        found["side by side"].append(speeds(tmp_path, motions, [f"a{number}", f"b{number}"]))
        spinning = speeds(tmp_path, motions, [f"c{number}", f"d{number}"], OMP_WAIT_POLICY="ACTIVE")
        found["side by side, spinning"].append(spinning)

    benchmark.pedantic(each, rounds=2)
    best = {name: max(map(min, rounds)) for name, rounds in found.items()}
    benchmark.extra_info.update({name: round(speed, 1) for name, speed in best.items()})
    halves = {name: round(2 * speed / best["alone"], 2) for name, speed in best.items() if name != "alone"}
    benchmark.extra_info["of half the machine"] = halves
