"""A trained classifier on disk, described well enough to be rebuilt: see ``finetune.predict.load_classifier``.

::

    <training>/classifier/encoder.safetensors  card.json    as for any encoder, so that others can start from it
                          head.safetensors                  weights of ``Classifier.head``
                          head.json                         how the two make a classifier, and of which classes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import safetensors.torch

from finetune.classifiers.linear import Classifier
from finetune.classifiers.names import HEAD, HEAD_CARD
from ssl_skel.config import EntryConfig, Section
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.files import save_encoder
from ssl_skel.encoders.pooling_config import FORMER_TEXTS, PoolingConfig
from ssl_skel.evaluation.estimate import Estimate
from ssl_skel.files.atomic import write_bytes, write_json
from ssl_skel.layouts import SkeletonLayout

FORMAT_VERSION = 1


class HeadCard(Section):
    """What turns an encoder's features into classes; the clips' normalisation is in the encoder's card."""

    former: ClassVar[Mapping[str, str]] = {"readout": "pooling"}
    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {"pooling": FORMER_TEXTS}

    protocol: dict[str, Any]
    """Resolved options of the protocol that trained it."""

    class_names: tuple[str, ...]
    """One per logit."""

    pooling: PoolingConfig
    """Pooling of the encoder."""

    layout: dict[str, Any] | None = None
    """Layout of the clips it was trained on, if their joints were mapped to those of the encoder."""

    estimate: Estimate | None = None
    """What to expect of it, where ``ssl-skel train-classifier`` made it; None: reports say."""

    format_version: int = FORMAT_VERSION
    """Version of this file format."""


def save_classifier(
    folder: Path,
    task: Classifier,
    config: EntryConfig,
    class_names: Sequence[str],
    card: EncoderCard,
    layout: SkeletonLayout | None = None,
    estimate: Estimate | None = None,
) -> None:
    """Write a classifier, ``head.json`` last.

    Args:
        folder: made where it is missing.
        task: trained.
        config: options of the protocol that trained it.
        class_names: one per logit.
        card: of its encoder.
        layout: of the clips, where it is not the encoder's.
        estimate: of its accuracy on new people.
    """
    save_encoder(folder, task.encoder, card)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in task.head.state_dict().items()}
    head = HeadCard(
        protocol=config.model_dump(mode="json"),
        class_names=tuple(class_names),
        pooling=task.encoder.pooling.config,
        layout=layout.to_dict() if layout else None,
        estimate=estimate,
    )
    write_bytes(folder / HEAD, safetensors.torch.save(weights))
    write_json(folder / HEAD_CARD, head.model_dump(mode="json"))
