"""A cached linear probe, kept as a classifier that takes clips."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import nn

from finetune.classifiers.linear import Classifier
from finetune.classifiers.saved import save_classifier
from ssl_skel.config import EntryConfig
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard, Origin
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.evaluation.estimate import Estimate
from ssl_skel.evaluation.linear import LinearProbe
from ssl_skel.layouts import SkeletonLayout

NEVER = -1e4
"""Log-odds, as kept, of a class that the training clips do not have."""


def save_probe(
    folder: Path,
    probe: LinearProbe,
    encoder: SkeletonEncoder,
    origin: Origin | None,
    config: EntryConfig,
    store: Store,
    *,
    layout: SkeletonLayout | None = None,
    estimate: Estimate | None = None,
) -> None:
    """Write a frozen encoder with a probe of its features as a classifier.

    Args:
        folder: as for ``save_classifier``.
        probe: of the encoder's features of the store's clips.
        encoder: left as it is.
        origin: of its weights; None where they are fresh.
        config: options of the protocol that fits such probes.
        store: its clips, with the normalisation and the joints that the encoder takes.
        layout, estimate: as for ``save_classifier``.
    """
    task = Classifier(copy.deepcopy(encoder), store.num_classes, frozen=True)
    layer = task.head[1]  # fresh BatchNorm changes nothing; standardising is a part of the probe's weights
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(probe.weight))
        layer.bias.copy_(torch.from_numpy(probe.bias).clamp(min=NEVER))
    made = {} if origin is None else {"pretext": origin.pretext, "data": origin.data, "init": origin.init}
    fed = {"normalization": store.normalization, "conversions": store.conversions}
    card = EncoderCard.of(task.encoder, **fed, **made)
    save_classifier(folder, task, config, store.class_names, card, layout, estimate)
