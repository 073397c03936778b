"""Few-shot recognition by exemplars."""

from __future__ import annotations

from finetune.protocols.base import FeatureSet, Protocol
from finetune.protocols.configs.fewshot import FewShotConfig
from ssl_skel.data.splits import Split
from ssl_skel.data.subsets import Budget, label_subset
from ssl_skel.evaluation.knn import knn_predict
from ssl_skel.evaluation.report import Measurement


class FewShot(Protocol[FewShotConfig]):
    """The class of the nearest exemplar by cosine; exemplars are training clips, drawn as ``label_subset`` does.

    Departs from print: NTU 120's one-shot protocol (Liu et al., TPAMI 2019) tests on classes never trained on, with
    one fixed exemplar each; here all classes are told apart, and exemplars are drawn several times.
    """

    Config = FewShotConfig

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(f"exemplars, {shots}-shot" for shots in self.config.shots)

    def measure(self, feature_set: FeatureSet, split: Split) -> list[Measurement]:
        store, found = self.context.store, []
        for shots, measure in zip(self.config.shots, self.measures, strict=True):
            drawn = [label_subset(store, split, Budget(per_class=shots), seed) for seed in range(self.config.draws)]
            runs = [
                self.score(split, knn_predict(x[s.rows], store.label[s.rows], x[split.test], (1,))[1])
                for x in feature_set.features
                for s in drawn
            ]
            notes = (
                f"± over {self.config.draws} draws of exemplars for each of {len(feature_set.features)} feature sets",
                *dict.fromkeys(note for subset in drawn for note in subset.notes),
            )
            found.append(Measurement.of(split.name, feature_set.name, measure, runs, notes=notes))
        return found
