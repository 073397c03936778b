"""A head with a hidden layer, as in MAMP's fine-tuning."""

from __future__ import annotations

from torch import nn

from finetune.classifiers.config import MLPHeadConfig
from finetune.classifiers.linear import Classifier
from ssl_skel.encoders.encoder import SkeletonEncoder


class MLPClassifier(Classifier):
    """Cross-entropy on an encoder's clip features through a linear layer, BatchNorm, ReLU and a linear layer.

    MAMP (Mao et al., ICCV 2023), model/transformer.py, for fine-tuning; its features are pooled by ``joint``.
    Departs from print: no dropout of features (0.3 there) before their mean over 30 frames, which it hardly changes.

    Args:
        encoder: made part of this module.
        num_classes: classes of the store.
        config: options.
        label_smoothing: as in ``Classifier`` (MAMP: 0.1).
    """

    def __init__(
        self, encoder: SkeletonEncoder, num_classes: int, config: MLPHeadConfig, *, label_smoothing: float
    ) -> None:
        super().__init__(encoder, num_classes, frozen=False, label_smoothing=label_smoothing)
        self.head = nn.Sequential(
            *(nn.Linear(encoder.dim, config.hidden), nn.BatchNorm1d(config.hidden), nn.ReLU()),
            nn.Linear(config.hidden, num_classes),
        )
