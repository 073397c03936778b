"""Few-shot recognition, against a loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from finetune.config import FinetuneConfig
from finetune.run import run
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.subsets import Budget, label_subset
from ssl_skel.evaluation.baselines import raw_features


def test_the_nearest_exemplar_wins(make_config: Callable[..., FinetuneConfig], motions: Path) -> None:
    config = make_config(
        encoders={"xview": str(make_config().encoders["unseen"][0])},
        protocols=[{"name": "fewshot", "shots": [1, 2], "draws": 3}],
        baselines=["raw"],
    )
    report = run(config)
    store = Store.open(motions)
    split, x = load_split(store, "xview"), raw_features(store).astype(float)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    for shots in (1, 2):
        accuracy = []
        for seed in range(3):
            rows = label_subset(store, split, Budget(per_class=shots), seed).rows
            right = 0
            for clip in split.test:
                near = max(rows, key=lambda row: x[row] @ x[clip])
                right += store.label[near] == store.label[clip]
            accuracy.append(right / len(split.test))
        figure = report.figure("xview", "raw", f"exemplars, {shots}-shot")
        assert np.isclose(figure.mean, np.mean(accuracy))
        assert np.isclose(figure.std, np.std(accuracy, ddof=1))
        assert figure.count == 3
    assert report.figure("xview", "pretrained", "exemplars, 1-shot").count == 3
