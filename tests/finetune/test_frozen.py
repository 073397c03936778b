"""Few labels on frozen features, each against a loop over draws and clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.config import FinetuneConfig
from finetune.run import run
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.subsets import Budget, label_subset
from ssl_skel.errors import UserError
from ssl_skel.evaluation.baselines import raw_features
from ssl_skel.evaluation.propagation import neighbour_graph, propagate
from ssl_skel.evaluation.report import Report


def of_xview(make_config: Callable[..., FinetuneConfig], row: dict[str, Any], store: Path) -> Report:
    encoder = str(make_config().encoders["unseen"][0])
    changes = {"encoders": {"xview": encoder}, "protocols": [row], "baselines": ["raw"]}
    return run(make_config(data={"store": str(store)}, **changes))


def test_the_nearest_exemplar_wins(make_config: Callable[..., FinetuneConfig], motions: Path) -> None:
    report = of_xview(make_config, {"name": "fewshot", "shots": [1, 2], "draws": 3}, motions)
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


def test_the_nearest_class_mean_wins(make_config: Callable[..., FinetuneConfig], motions: Path) -> None:
    report = of_xview(make_config, {"name": "ncm", "fractions": [0.5], "per_class": [2], "draws": 3}, motions)
    store = Store.open(motions)
    split, x = load_split(store, "xview"), raw_features(store).astype(float)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    for budget in (Budget(fraction=0.5), Budget(per_class=2)):
        accuracy = []
        for seed in range(3):
            rows = label_subset(store, split, budget, seed).rows
            means = {label: x[[r for r in rows if store.label[r] == label]].mean(0) for label in store.label[rows]}
            cosine = {label: x[split.test] @ mean / np.linalg.norm(mean) for label, mean in means.items()}
            nearest = [max(cosine, key=lambda label: cosine[label][at]) for at in range(len(split.test))]
            accuracy.append(np.mean(nearest == store.label[split.test]))
        figure = report.figure("xview", "raw", f"nearest class mean, {budget}")
        assert (figure.mean, figure.count) == (pytest.approx(np.mean(accuracy)), 3)


def test_labels_are_spread_over_all_training_clips(
    make_config: Callable[..., FinetuneConfig], motions: Path, rewrite: Callable[..., Path]
) -> None:
    """A third of the training clips have no label at all; they lie in the graph like those whose label is not drawn."""
    train = load_split(Store.open(motions), "xview").train
    path = rewrite(lambda clip, row: [replace(clip, label=-1) if row in train[::3] else clip])
    row = {"name": "propagate", "fractions": [], "per_class": [1], "draws": 2, "neighbours": 4, "alpha": 0.9}
    report = of_xview(make_config, row, path)
    store = Store.open(path)
    split, x = load_split(store, "xview"), raw_features(store)
    assert (store.label[split.train] < 0).any()
    right = []
    for seed in range(2):
        label = np.full(len(store), -1)
        rows = label_subset(store, split, Budget(per_class=1), seed).rows
        label[rows] = store.label[rows]
        graph = neighbour_graph(x[split.train], 4)
        found = propagate(graph, x[split.train], label[split.train], x[split.test], neighbours=4, alpha=0.9)
        right.append((found == store.label[split.test]).mean())
    assert report.figure("xview", "raw", "propagated, 1-shot").mean == pytest.approx(np.mean(right))


def test_nothing_can_be_measured_without_a_budget(make_config: Callable[..., FinetuneConfig]) -> None:
    with pytest.raises(UserError, match="fractions: give a share of the labels, or per_class a number of them"):
        make_config(protocols=[{"name": "propagate", "fractions": []}])
