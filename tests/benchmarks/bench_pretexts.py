"""Cost of a SkeletonMAE step beside that of the bare backbone: MPAE-Net base, 8 clips, T = 64, V = 25.

Reported in ``extra_info``: clips a second, peak memory of the process, and for the pretext how many times
the bare step it takes (aim: at most 1.3).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pytest
import torch

from ssl_skel.backbones import SkeletonEncoder, build_encoder
from ssl_skel.backbones.mpae_net import MPAENetConfig
from ssl_skel.batch import Batch, Rng
from ssl_skel.layout import LAYOUTS
from ssl_skel.pretexts.skeleton_mae import SkeletonMAE, SkeletonMAEConfig

CLIPS, FRAMES, ROUNDS = 8, 64, 5


def encoder() -> SkeletonEncoder:
    torch.manual_seed(0)
    config = MPAENetConfig(size="base")
    return build_encoder(config, LAYOUTS["ntu25"], channels=3, num_frames=FRAMES, stream="joint")


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(CLIPS, 1, 3, FRAMES, 25, 1, generator=generator).cumsum(3) * 0.05
    index = torch.arange(CLIPS)
    return Batch(x, torch.ones(CLIPS, 1, dtype=torch.bool), index, index, Rng((0,), CLIPS))


def bare_step() -> Callable[[], None]:
    net = encoder()
    optimizer = torch.optim.AdamW(net.parameters())

    def step() -> None:
        data = batch()
        net.forward_features(data.x[:, 0], data.present).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def mae_step() -> Callable[[], None]:
    net = encoder()
    task = SkeletonMAE(SkeletonMAEConfig(), net, net.layout)
    optimizer = torch.optim.AdamW(task.parameters())

    def step() -> None:
        task(batch())["loss"].backward()
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


@pytest.mark.parametrize("make", [bare_step, mae_step], ids=["bare", "skeleton_mae"])
def test_step(benchmark, make):
    benchmark.pedantic(make(), rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["clips_per_second"] = round(CLIPS / benchmark.stats.stats.min, 2)
    benchmark.extra_info["peak_memory_mb"] = round(peak_memory_mb())


def test_ratio_to_the_bare_step(benchmark):
    """Steps of both kinds in turn, so that a busy machine slows both alike."""
    steps, best = (bare_step(), mae_step()), [float("inf"), float("inf")]

    def both() -> None:
        for number, step in enumerate(steps):
            start = time.perf_counter()
            step()
            best[number] = min(best[number], time.perf_counter() - start)

    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["ratio"] = round(best[1] / best[0], 3)
