"""How typical a clip is of a class, which a classifier's probability does not say, since it has to choose a class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import safetensors.numpy

from finetune.classifiers.names import TYPICAL
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import unit
from ssl_skel.files.atomic import write_bytes


@dataclass(frozen=True, eq=False)
class Typical:
    """The mean direction of each class among standardised features.

    Confidence is the probability of the most probable class times the cosine between the clip and that class's mean
    (ours). It refuses more motions outside all classes than the probability alone: docs/results.md.

    Attributes:
        mean, scale: (D,) float32, by which features are standardised.
        direction: (K, D) float32 of length 1; 0 for a class without clips.
    """

    mean: np.ndarray
    scale: np.ndarray
    direction: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, label: np.ndarray, num_classes: int) -> Self:
        """The mean directions of training clips.

        Args:
            features: (N, D).
            label: (N,) int64.
            num_classes: K.
        """
        mean, scale = features.mean(0), features.std(0)
        scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
        rows = unit((features - mean) / scale)
        sums = np.zeros((num_classes, features.shape[1]), np.float32)
        np.add.at(sums, label, rows)
        return cls(mean.astype(np.float32), scale, unit(sums))

    def cosines(self, features: np.ndarray) -> np.ndarray:
        """(N, K) of clips (N, D) to each class, from 0; opposite directions count as 0."""
        found: np.ndarray = unit((features - self.mean) / self.scale) @ self.direction.T
        return found.clip(0)

    def save(self, folder: Path) -> None:
        """Write ``typical.safetensors``."""
        write_bytes(folder / TYPICAL, safetensors.numpy.save(dict(vars(self))))

    @classmethod
    def load(cls, folder: Path, num_classes: int, dim: int) -> Self | None:
        """Read it back; None if there is no such file, as with classifiers of an evaluation.

        Raises:
            UserError: it is damaged, or of another classifier.
        """
        path = folder / TYPICAL
        if not path.exists():
            return None
        try:
            made = cls(**safetensors.numpy.load(path.read_bytes()))
        except (OSError, TypeError, safetensors.SafetensorError) as error:
            raise UserError(f"{path}: is damaged ({error}); train the classifier again") from error
        shapes = [one.shape for one in (made.mean, made.scale, made.direction)]
        if shapes != [(dim,), (dim,), (num_classes, dim)]:
            raise UserError(f"{path}: does not fit the classifier; train it again")
        return made


def confidence(probability: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    """(N,) probability of the most probable class times the cosine to it; inputs are (N, K)."""
    best = probability.argmax(1)[:, None]
    found: np.ndarray = np.take_along_axis(probability * cosines, best, 1)[:, 0]
    return found
