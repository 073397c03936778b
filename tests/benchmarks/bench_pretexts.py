"""Cost of pretexts' steps beside that of the bare backbone: MPAE-Net base, 8 clips, T = 64, V = 25, one person.

Reported in ``extra_info``: clips a second, peak memory of the process, and how many times the bare step each
takes (aim for SkeletonMAE: at most 1.3; PSP has two views to pass). ``test_two_ranks`` times one training run of
PSP by two gloo ranks of one thread beside one process of two threads, in turn, start of the processes left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.batch import Batch, Rng
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder
from ssl_skel.layouts import LAYOUTS
from ssl_skel.pretexts import PRETEXTS, build_pretext

CLIPS, FRAMES, ROUNDS = 8, 64, 5
TASKS: dict[str, dict[str, Any]] = {
    "bare": {},
    "skeleton_mae": {"name": "skeleton_mae"},
    "psp": {"name": "psp"},
    "temporal_order": {"name": "temporal_order"},
    "combined": {"name": "combined", "parts": [{"pretext": {"name": name}} for name in ("skeleton_mae", "psp")]},
}


def encoder() -> SkeletonEncoder:
    torch.manual_seed(0)
    config = MPAENetConfig(size="base")
    return build_encoder(config, LAYOUTS["ntu25"], channels=3, num_frames=FRAMES, stream="joint")


def batch(views: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(CLIPS, views, 3, FRAMES, 25, 1, generator=generator).cumsum(3) * 0.05
    index = torch.arange(CLIPS)
    return Batch(x, torch.ones(CLIPS, 1, dtype=torch.bool), index, index, Rng((0,), CLIPS))


def step_of(name: str) -> Callable[[], None]:
    net = encoder()
    row = TASKS[name]
    task = build_pretext(parse_config(PRETEXTS[row["name"]].Config, row, "bench"), net) if row else None
    optimizer = torch.optim.AdamW(net.parameters() if task is None else task.parameters())

    def step() -> None:
        if task is None:
            data = batch()
            net.forward_features(data.x[:, 0], data.present).square().mean().backward()
        else:
            task(batch(task.num_views))["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far; NaN where the system does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    kilobytes = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilobytes / 1024


@pytest.mark.parametrize("name", TASKS)
def test_step(benchmark, name):
    benchmark.pedantic(step_of(name), rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["clips_per_second"] = round(CLIPS / benchmark.stats.stats.min, 2)
    benchmark.extra_info["peak_memory_mb"] = round(peak_memory_mb())


def test_ratios_to_the_bare_step(benchmark):
    """Steps of all kinds in turn, so that a busy machine slows all alike."""
    steps, best = {name: step_of(name) for name in TASKS}, dict.fromkeys(TASKS, float("inf"))

    def each() -> None:
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            best[name] = min(best[name], time.perf_counter() - start)

    benchmark.pedantic(each, rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info.update({name: round(seconds / best["bare"], 3) for name, seconds in best.items()})


def train(folder: Path, name: str, store: Path, ranks: int) -> float:
    """Clips a second of the last epoch of a short PSP run."""
    config = {
        "name": name,
        "runs": str(folder),
        "data": {"store": str(store), "num_frames": 32},
        "backbone": {"name": "mpae_net", "size": "small", "norm": "layer"},
        "pretext": {"name": "psp", "norm": "layer"},
        "train": {"epochs": 2, "batch_size": 32, "eval_every": 0, "progress": False, "device": "cpu"},
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(config), "utf-8")
    launcher = ["-m", "torch.distributed.run", f"--nproc_per_node={ranks}", "--standalone"] if ranks > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(2 // ranks)}
    subprocess.run([sys.executable, *launcher, "-m", "pretrain", str(path)], env=environment, check=True)
    records = (folder / name / "log.jsonl").read_text("utf-8").splitlines()
    return float(json.loads(records[-1])["clips_per_second"])


def test_two_ranks(benchmark, motions, tmp_path):
    one, two = [], []

    def both() -> None:
        one.append(train(tmp_path, f"one{len(one)}", motions, 1))
        two.append(train(tmp_path, f"two{len(two)}", motions, 2))

    benchmark.pedantic(both, rounds=2)
    benchmark.extra_info.update(one_process=max(one), two_ranks=max(two), ratio=round(max(two) / max(one), 3))
