"""Pretraining step of MAMP on its own transformer: 8 clips of two persons, T = 120, V = 25, nine tokens of ten hidden.

``pytest tests/benchmarks/bench_st_transformer.py -o python_files='bench_*.py' --benchmark-only``; threads by
``SSL_SKEL_THREADS`` (default 2). All kinds take their step in turn, so that a busy machine slows all alike; reported
in ``extra_info`` are clips a second of the best round and the ratio to ``written out``: the same network and decoder
with attention as products and a softmax, as MAMP's public code computes it (1.4 clips/s on the 2 cores where these
were first measured; aims there: 2.8 for ``joint``, 4.2 for ``joint bf16``, 8.4 for ``cross``). bf16 is fast only where
the processor multiplies it (AMX); beside it stands the rate of a matrix product in both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from timm.layers import set_fused_attn

from ssl_skel.backbones.configs.st_transformer import STTransformerConfig
from ssl_skel.batch import Batch, Rng
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.layouts import LAYOUTS
from ssl_skel.pretexts import PRETEXTS, build_pretext

CLIPS, PERSONS, FRAMES, ROUNDS = 8, 2, 120, 4
MAMP: dict[str, Any] = {
    "name": "skeleton_mae",
    "mask": {"name": "motion", "ratio": 0.9},
    "target": "motion",
    "decoder": "joint",
    "decoder_input": "visible",
    "decoder_dim": 256,
    "decoder_depth": 3,
    "decoder_heads": 8,
}
LIGHT = {**MAMP, "decoder": "cross", "decoder_sample": 0.25}
KINDS: dict[str, tuple[dict[str, Any], bool, bool]] = {  # options, fused attention, bf16
    "written out": (MAMP, False, False),
    "joint": (MAMP, True, False),
    "joint bf16": (MAMP, True, True),
    "cross": (LIGHT, True, False),
    "cross bf16": (LIGHT, True, True),
}


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(CLIPS, 1, 3, FRAMES, 25, PERSONS, generator=generator).cumsum(3) * 0.05
    index = torch.arange(CLIPS)
    return Batch(x, torch.ones(CLIPS, PERSONS, dtype=torch.bool), index, index, Rng((0,), CLIPS))


def step_of(options: dict[str, Any], fused: bool, half: bool) -> Callable[[], None]:
    torch.manual_seed(0)
    set_fused_attn(fused)
    net = build_encoder(STTransformerConfig(), LAYOUTS["ntu25"], channels=3, num_frames=FRAMES, stream="joint")
    task = build_pretext(parse_config(PRETEXTS["skeleton_mae"].Config, options, "bench"), net)
    set_fused_attn(True)
    optimizer = torch.optim.AdamW(task.parameters())

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = task(batch())["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def product_rate(dtype: torch.dtype) -> float:
    """Thousand million multiplications and additions a second of a 2048 x 1024 x 1024 matrix product."""
    a, b = torch.ones(2048, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - start)
    return 2 * 2048 * 1024**2 / min(seconds) / 1e9


def test_steps(benchmark: Any) -> None:
    steps = {name: step_of(*kind) for name, kind in KINDS.items()}
    best = dict.fromkeys(steps, float("inf"))

    def each() -> None:
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            best[name] = min(best[name], time.perf_counter() - start)

    benchmark.pedantic(each, rounds=ROUNDS, warmup_rounds=1)
    for name, seconds in best.items():
        benchmark.extra_info[f"{name}: clips/s"] = round(CLIPS / seconds, 2)
        benchmark.extra_info[f"{name}: ratio"] = round(best["written out"] / seconds, 2)
    rates = {"float32": product_rate(torch.float32), "bf16": product_rate(torch.bfloat16)}
    benchmark.extra_info["matrix product, GFLOP/s"] = {name: round(rate) for name, rate in rates.items()}
    benchmark.extra_info["threads"] = torch.get_num_threads()
