"""Clips a second that a frozen MPAE-Net ``base`` turns into vectors: 64 frames, 25 joints, one person or two.

``pytest tests/benchmarks/bench_embedding.py -o python_files='bench_*.py' --benchmark-only``; threads by
``SSL_SKEL_THREADS`` (default 2). Clips are 10 to 300 frames long; every clip is resampled to the encoder's frames and
only persons who are present are computed, so batches hold no padding and an order by length would gain nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.data.sources.recordings import store_of
from ssl_skel.embedding.features import extract_features, whole_clips
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.layouts import LAYOUTS

CLIPS, FRAMES = 32, 64


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("persons", [1, 2])
def test_embedding(benchmark: Callable[..., None], persons: int, precision: str) -> None:
    rng = np.random.default_rng(0)
    layout = LAYOUTS["ntu25"]
    lengths = rng.integers(10, 301, CLIPS)
    store = store_of([rng.normal(size=(persons, frames, 25, 3)) for frames in lengths], layout)
    encoder = build_encoder(MPAENetConfig(size="base"), layout, channels=3, num_frames=FRAMES, stream="joint")
    loader = whole_clips(store, num_frames=FRAMES, batch_size=16)
    autocast = torch.bfloat16 if precision == "bfloat16" else None
    benchmark.pedantic(lambda: extract_features(encoder, loader, autocast=autocast), rounds=3, warmup_rounds=1)
    benchmark.extra_info.update(
        clips_per_second_best=round(CLIPS / benchmark.stats.stats.min, 1),
        clips_per_second_median=round(CLIPS / benchmark.stats.stats.median, 1),
        threads=torch.get_num_threads(),
    )
