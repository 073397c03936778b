"""Training step (forward, backward, SGD) of MPAE-Net in float32: 64 frames, 25 joints, clips a second.

``pytest tests/benchmarks/bench_backbones.py -o python_files='bench_*.py' --benchmark-only``; threads by
``SSL_SKEL_THREADS`` (default 2). Beside each figure stands that of a fixed matrix product, timed between the
rounds: a busy machine shows there. Aims for base, 8 clips, 2 cores: 10 clips/s with one person, 6 with two.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import torch

from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.backbones.mpae_net import MPAENet
from ssl_skel.layouts import LAYOUTS

FRAMES, ROUNDS = 64, 7


def step_of(size: str, packed: int) -> Callable[[], None]:
    torch.manual_seed(0)
    net = MPAENet(MPAENetConfig.model_validate({"size": size}), LAYOUTS["ntu25"], 3, FRAMES)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    x = torch.randn(packed, 3, FRAMES, 25)

    def step() -> None:
        optimiser.zero_grad()
        net(x).square().mean().backward()
        optimiser.step()

    return step


@pytest.mark.parametrize(
    ("size", "clips", "persons"),
    [("base", 8, 1), ("base", 8, 2), ("small", 32, 1), ("tiny", 32, 1)],
    ids=["base-1-person", "base-2-persons", "small", "tiny"],
)
def test_training_step(benchmark: Callable[..., None], size: str, clips: int, persons: int) -> None:
    matrix = torch.randn(1024, 1024)
    yardstick: list[float] = []

    def measure() -> None:
        start = time.perf_counter()
        torch.mm(matrix, matrix)
        yardstick.append(2 * 1024**3 / (time.perf_counter() - start) / 1e9)

    benchmark.pedantic(step_of(size, clips * persons), setup=measure, rounds=ROUNDS, warmup_rounds=2)
    seconds = benchmark.stats.stats
    benchmark.extra_info.update(
        clips_per_second_best=round(clips / seconds.min, 1),
        clips_per_second_median=round(clips / seconds.median, 1),
        matmul_gflops_best=round(max(yardstick)),
        matmul_gflops_median=round(statistics.median(yardstick)),
        threads=torch.get_num_threads(),
    )
