"""An encoder with a fresh head on it, to be trained together."""

from __future__ import annotations

from finetune.classifiers.bottleneck import BottleneckClassifier
from finetune.classifiers.config import BottleneckConfig, HeadConfig, MLPHeadConfig
from finetune.classifiers.linear import Classifier
from finetune.classifiers.mlp import MLPClassifier
from ssl_skel.encoders.encoder import SkeletonEncoder


def add_head(encoder: SkeletonEncoder, head: HeadConfig, num_classes: int, *, label_smoothing: float) -> Classifier:
    """A classifier whose encoder is trained too.

    Args:
        encoder: becomes part of the classifier.
        head: options.
        num_classes: classes of the store.
        label_smoothing: see ``Classifier``.
    """
    if isinstance(head, BottleneckConfig):
        return BottleneckClassifier(encoder, num_classes, head, label_smoothing=label_smoothing)
    if isinstance(head, MLPHeadConfig):
        return MLPClassifier(encoder, num_classes, head, label_smoothing=label_smoothing)
    return Classifier(encoder, num_classes, frozen=False, label_smoothing=label_smoothing, norm=head.norm)
