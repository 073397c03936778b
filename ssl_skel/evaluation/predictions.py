"""What a classifier says of clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Predictions:
    """Classes of clips.

    Attributes:
        clips: names, N of them.
        class_names: of the columns.
        probability: (N, classes) float64; of several trainings the mean.
        trainings: names of the trainings whose classifiers were used.
    """

    clips: tuple[str, ...]
    class_names: tuple[str, ...]
    probability: np.ndarray
    trainings: tuple[str, ...]

    def best(self, clip: int, top: int) -> list[tuple[str, float]]:
        """The most probable classes of a clip, with their probabilities."""
        order = np.argsort(-self.probability[clip], kind="stable")[:top]
        return [(self.class_names[at], float(self.probability[clip, at])) for at in order]
