"""Clips a CPU second that a frozen MPAE-Net ``base`` turns into vectors: 64 frames, 25 joints, one person or two,
in float32 and bfloat16 in turn, by one thread.

``pytest tests/benchmarks/bench_embedding.py -o python_files='bench_*.py' --benchmark-only``. Clips are 10 to 300
frames long; every clip is resampled to the encoder's frames and only persons who are present are computed, so batches
hold no padding and an order by length would gain nothing.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import pytest
import torch

from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.data.sources.recordings import store_of
from ssl_skel.embedding.features import extract_features, whole_clips
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.layouts import LAYOUTS

CLIPS, FRAMES = 16, 64


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("persons", [1, 2])
def test_embedding(benchmark: Any, persons: int) -> None:
    rng = np.random.default_rng(0)
    layout = LAYOUTS["ntu25"]
    lengths = rng.integers(10, 301, CLIPS)
    store = store_of([rng.normal(size=(persons, frames, 25, 3)) for frames in lengths], layout)
    encoder = build_encoder(MPAENetConfig(size="base"), layout, channels=3, num_frames=FRAMES, stream="joint")
    loader = whole_clips(store, num_frames=FRAMES, batch_size=16)
    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}

    def each() -> None:
        for dtype, found in seconds.items():
            start = time.process_time()
            extract_features(encoder, loader, autocast=None if dtype == torch.float32 else dtype)
            found.append(time.process_time() - start)

    benchmark.pedantic(each, rounds=5, warmup_rounds=1)
    for dtype, found in seconds.items():
        benchmark.extra_info[f"{dtype}: clips a CPU second"] = round(CLIPS / statistics.median(found[1:]), 1)
