"""A look at the features while they are being learned."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from tqdm import tqdm

from pretrain.config import PretrainConfig
from ssl_skel.backbones import SkeletonEncoder
from ssl_skel.data.splits import Split
from ssl_skel.data.store import Store
from ssl_skel.evaluation.baselines import raw_features
from ssl_skel.evaluation.features import extract_features, whole_clips
from ssl_skel.evaluation.knn import knn_predict


def watcher(
    config: PretrainConfig, store: Store, split: Split, encoder: SkeletonEncoder, device: torch.device
) -> Callable[[int], dict[str, float]] | None:
    """Nearest-neighbour accuracy on the split's test clips while training, beside that of raw coordinates.

    It is there to be watched. Nothing is chosen, stopped or tuned by it within a run; whoever compares
    runs by it has seen the test clips. None where the split has no labels or no test clips.
    """
    train, test = (rows[store.label[rows] >= 0] for rows in (split.train, split.test))
    if not len(train) or not len(test):
        return None
    rows, batch_size = np.concatenate([train, test]), config.train.batch_size
    frames, resident = config.data.num_frames, config.data.resident
    loader = whole_clips(store, rows, num_frames=frames, batch_size=batch_size, device=device, resident=resident)

    def accuracy(features: np.ndarray) -> float:
        guess = knn_predict(features[: len(train)], store.label[train], features[len(train) :], ks=(1,))[1]
        return float((guess == store.label[test]).mean())

    raw = cache(lambda: accuracy(raw_features(store, rows)))

    def watch(epoch: int) -> dict[str, float]:
        knn = accuracy(extract_features(encoder, loader))
        if config.train.progress:
            tqdm.write(f"epoch {epoch}: 1-NN {100 * knn:.1f} %, raw coordinates {100 * raw():.1f} %", sys.stderr)
        return {"knn_1": knn, "knn_1_raw": raw()}

    return watch
