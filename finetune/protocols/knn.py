"""Nearest neighbours of frozen features."""

from __future__ import annotations

from finetune.protocols.base import FeatureSet, Protocol
from finetune.protocols.configs.knn import KnnConfig
from ssl_skel.data.splits import Split
from ssl_skel.evaluation.answers import Guess
from ssl_skel.evaluation.knn import Metric, knn_predict
from ssl_skel.evaluation.report import Measurement


class Knn(Protocol[KnnConfig]):
    """Cosine nearest neighbours; see ``ssl_skel.evaluation.knn`` for ties and normalisation.

    Raw coordinates are measured by Euclidean distance too: it is what their published figures use.
    """

    Config = KnnConfig

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(f"kNN, k = {k}" for k in self.config.ks)

    def measure(self, feature_set: FeatureSet, split: Split) -> list[Measurement]:
        ways: dict[str, Metric] = {feature_set.name: "cosine"}
        if feature_set.name == "raw":
            ways["raw (Euclidean)"] = "euclidean"
        label = self.context.store.label[split.train]
        found = []
        for name, metric in ways.items():
            votes = [
                knn_predict(x[split.train], label, x[split.test], self.config.ks, metric) for x in feature_set.features
            ]
            for k, measure in zip(self.config.ks, self.measures, strict=True):
                guesses = [Guess(split.test, vote[k]) for vote in votes]
                notes = (f"k = {k} is more than the training clips: all {len(label)} vote",) if k > len(label) else ()
                found.append(self.figure(split.name, name, measure, guesses, notes=notes))
        return found
