"""What a classifier says of clips."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np

from ssl_skel.escaping import inert
from ssl_skel.evaluation.estimate import Estimate

NONE = "none of these"
"""The answer where confidence is below the threshold."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Classes of clips.

    Attributes:
        clips: names, N of them.
        class_names: of the columns.
        probability: (N, classes) float64; of several trainings the mean.
        trainings: names of the trainings whose classifiers were used.
        estimate: what to expect of the classifier, where its card says.
        threshold: confidence, the probability of the most probable class, below which the answer is ``NONE``.
    """

    clips: tuple[str, ...]
    class_names: tuple[str, ...]
    probability: np.ndarray
    trainings: tuple[str, ...]
    estimate: Estimate | None = None
    threshold: float = 0.0

    @property
    def answers(self) -> tuple[str, ...]:
        """The class of each clip, or ``NONE``."""
        best, confidence = self.probability.argmax(1), self.probability.max(1)
        named = [self.class_names[at] for at in best]
        return tuple(name if sure >= self.threshold else NONE for name, sure in zip(named, confidence, strict=True))

    def best(self, clip: int, top: int) -> list[tuple[str, float]]:
        """The most probable classes of a clip, with their probabilities."""
        order = np.argsort(-self.probability[clip], kind="stable")[:top]
        return [(self.class_names[at], float(self.probability[clip, at])) for at in order]

    def as_csv(self) -> str:
        """A row a clip: its name, the answer, the confidence, then the probability of each class."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(map(inert, ("clip", "answer", "confidence", *self.class_names)))
        for clip, answer, row in zip(self.clips, self.answers, self.probability, strict=True):
            writer.writerow([inert(clip), inert(answer), *(f"{value:.4f}" for value in (row.max(), *row))])
        return text.getvalue()
