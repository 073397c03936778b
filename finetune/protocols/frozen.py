"""Few labels on frozen features: nothing of the network is trained.

On NW-UCLA ``propagate`` was the strongest of all protocols at one label a class and level with training the network
(``semi``, ``psp``) at five to ten, which is ahead from there on. Figures: docs/results.md.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import ClassVar, TypeVar

import numpy as np

from finetune.protocols.base import FeatureSet, Protocol
from finetune.protocols.configs.frozen import ClassMeansConfig, DrawnConfig, FewShotConfig, PropagateConfig
from ssl_skel.data.splits import Split
from ssl_skel.data.subsets import label_subset
from ssl_skel.evaluation.answers import Guess
from ssl_skel.evaluation.class_means import class_mean_predict
from ssl_skel.evaluation.knn import knn_predict
from ssl_skel.evaluation.propagation import neighbour_graph, propagate
from ssl_skel.evaluation.report import Measurement

DrawnT = TypeVar("DrawnT", bound=DrawnConfig)


class Drawn(Protocol[DrawnT]):
    """Labelled training clips are drawn several times, as ``label_subset`` does; each draw classifies the test clips.

    Attributes:
        title: what reports call it.
    """

    title: ClassVar[str]

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(f"{self.title}, {budget}" for budget in self.config.budgets)

    @abstractmethod
    def predict(self, feature_set: FeatureSet, at: int, split: Split, rows: np.ndarray) -> np.ndarray:
        """Classes (Q,) of the test clips, from one of the feature set's features and only the labels of these rows."""

    def measure(self, feature_set: FeatureSet, split: Split) -> list[Measurement]:
        store, found = self.context.store, []
        for budget, measure in zip(self.config.budgets, self.measures, strict=True):
            drawn = [label_subset(store, split, budget, seed) for seed in range(self.config.draws)]
            guesses = [
                Guess(split.test, self.predict(feature_set, at, split, subset.rows))
                for at in range(len(feature_set.features))
                for subset in drawn
            ]
            notes = (
                f"± over {self.config.draws} draws of labels for each of {len(feature_set.features)} feature sets",
                *dict.fromkeys(note for subset in drawn for note in subset.notes),
            )
            found.append(self.figure(split.name, feature_set.name, measure, guesses, notes=notes))
        return found


class FewShot(Drawn[FewShotConfig]):
    """The class of the nearest labelled clip by cosine.

    Departs from print: NTU 120's one-shot protocol (Liu et al., TPAMI 2019) tests on classes never trained on, with
    one fixed exemplar each; here all classes are distinguished, and exemplars are drawn several times.
    """

    Config = FewShotConfig
    title = "exemplars"

    def predict(self, feature_set: FeatureSet, at: int, split: Split, rows: np.ndarray) -> np.ndarray:
        x = feature_set.features[at]
        return knn_predict(x[rows], self.context.store.label[rows], x[split.test], (1,))[1]


class ClassMeans(Drawn[ClassMeansConfig]):
    """The class with the nearest mean of its labelled clips, by cosine."""

    Config = ClassMeansConfig
    title = "nearest class mean"

    def predict(self, feature_set: FeatureSet, at: int, split: Split, rows: np.ndarray) -> np.ndarray:
        x = feature_set.features[at]
        return class_mean_predict(x[rows], self.context.store.label[rows], x[split.test])


class Propagate(Drawn[PropagateConfig]):
    """Labels are spread along a graph of all training clips, with and without labels; see ``propagation``.

    Test clips never enter the graph: each is classified by the training clips nearest to it.
    """

    Config = PropagateConfig
    title = "propagated"

    def predict(self, feature_set: FeatureSet, at: int, split: Split, rows: np.ndarray) -> np.ndarray:
        x, store, config = feature_set.features[at], self.context.store, self.config
        blank = self.context.unlabelled.get(split.name, rows[:0])
        train = np.union1d(split.train, blank)
        graph = self.once(
            (feature_set, at, train.tobytes()), partial(neighbour_graph, x[train], neighbours=config.neighbours)
        )
        label = np.where(np.isin(train, rows), store.label[train], -1)
        return propagate(graph, x[train], label, x[split.test], neighbours=config.neighbours, alpha=config.alpha)
