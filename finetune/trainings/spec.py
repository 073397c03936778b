"""What one training is given."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ssl_skel.encoders.card import Origin
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.training_data import TrainingData


@dataclass(frozen=True, eq=False)
class TrainingSpec:
    """What one training is given, besides its config.

    Attributes:
        name: of its folder, before the fingerprint.
        encoder: its weights are copied, not changed.
        train, validation, test: rows of the store: trained on, the epoch chosen by, predicted.
        seed: of the head's weights, the order of clips, crops and augmentation.
        pretrained: whether layer decay applies.
        unlabelled: rows that are trained on without their labels.
        data: of the card of a saved classifier, as in ``EncoderCard``.
        origin: of the encoder's weights.
    """

    name: str
    encoder: SkeletonEncoder
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    seed: int
    pretrained: bool
    unlabelled: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    data: TrainingData | None = None
    origin: Origin | None = None
