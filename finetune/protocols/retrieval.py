"""Retrieval: test clips are the queries, training clips the gallery."""

from __future__ import annotations

import numpy as np

from finetune.protocols.base import FeatureSet, Protocol
from finetune.protocols.configs.retrieval import RetrievalConfig
from ssl_skel.data.splits import Split
from ssl_skel.errors import UserError
from ssl_skel.evaluation.answers import Guess
from ssl_skel.evaluation.ranking import MEASURES, full_rankings, ranking_scores
from ssl_skel.evaluation.report import Figure, Measurement


class Retrieval(Protocol[RetrievalConfig]):
    """Ranks of the training clips by cosine; see ``ssl_skel.evaluation.ranking`` for the rules.

    The accuracy of the table is R@1: whether the first answer is of the query's class. Beside it stand R@5, R@10, mAP
    and nDCG@10.
    """

    Config = RetrievalConfig

    @property
    def measures(self) -> tuple[str, ...]:
        return ("retrieval, duplicates among the answers" if self.config.duplicates else "retrieval",)

    def measure(self, feature_set: FeatureSet, split: Split) -> list[Measurement]:
        store = self.context.store
        label, content = store.label, store.content
        truth = label[split.test]
        guesses: list[Guess] = []
        others: dict[str, list[float]] = {name: [] for name in MEASURES if name != "R@1"}
        notes: list[str] = []
        for x in feature_set.features:
            ranked, first = ranking_scores(
                full_rankings(x[split.train], x[split.test]),
                label[split.train],
                truth,
                store.num_classes,
                gallery_source=None if self.config.duplicates else content[split.train],
                query_source=None if self.config.duplicates else content[split.test],
            )
            if not ranked.queries:
                raise UserError(f"{store.path}: split {split.name!r}: no query has a clip of its class left to find")
            answered = np.flatnonzero(first >= 0)
            guesses.append(Guess(split.test[answered], first[answered]))
            for name, values in others.items():
                values.append(ranked.figures[name])
            if ranked.excluded:
                notes.append(f"{ranked.excluded} answers left out, duplicates of their query")
            if ranked.without:
                notes.append(f"{ranked.without} queries left out, with nothing to find")
        figures = {name: Figure.of(values) for name, values in others.items()}
        note = tuple(dict.fromkeys(notes))
        return [self.figure(split.name, feature_set.name, self.measures[0], guesses, figures=figures, notes=note)]
