"""A classifier's predictions for clips."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np

from ssl_skel.escaping import inert
from ssl_skel.evaluation.estimate import Estimate

NONE = "none of these"
"""The answer if the confidence is below the threshold."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Classes of clips.

    Attributes:
        clips: names, N of them.
        class_names: of the columns.
        probability: (N, classes) float64; of several trainings the mean.
        trainings: names of the trainings whose classifiers were used.
        estimate: what to expect of the classifier, where its card says.
        threshold: confidence below which the answer is ``NONE``.
        own_confidence: (N,) if the classifier gives more than probabilities; see ``Estimate.threshold``.
        skipped: damaged recordings left out: file, clip where it was one of several, why.
    """

    clips: tuple[str, ...]
    class_names: tuple[str, ...]
    probability: np.ndarray
    trainings: tuple[str, ...]
    estimate: Estimate | None = None
    threshold: float = 0.0
    own_confidence: np.ndarray | None = None
    skipped: tuple[dict[str, str], ...] = ()

    @property
    def confidence(self) -> np.ndarray:
        """(N,) by default the probability of the most probable class."""
        return self.probability.max(1) if self.own_confidence is None else self.own_confidence

    @property
    def answers(self) -> tuple[str, ...]:
        """The class of each clip, or ``NONE``."""
        named = [self.class_names[at] for at in self.probability.argmax(1)]
        return tuple(
            name if sure >= self.threshold else NONE for name, sure in zip(named, self.confidence, strict=True)
        )

    def best(self, clip: int, top: int) -> list[tuple[str, float]]:
        """The most probable classes of a clip, with their probabilities."""
        order = np.argsort(-self.probability[clip], kind="stable")[:top]
        return [(self.class_names[at], float(self.probability[clip, at])) for at in order]

    def as_csv(self) -> str:
        """One row per clip: its name, the answer, the confidence, then the probability of each class."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(map(inert, ("clip", "answer", "confidence", *self.class_names)))
        for clip, answer, sure, row in zip(self.clips, self.answers, self.confidence, self.probability, strict=True):
            writer.writerow([inert(clip), inert(answer), *(f"{value:.4f}" for value in (sure, *row))])
        return text.getvalue()
