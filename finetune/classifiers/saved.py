"""A trained classifier on disk, rebuilt from what it says of itself; nothing is unpickled.

::

    <training>/classifier/encoder.safetensors  card.json    as any encoder, so that others can begin with it
                          head.safetensors                  weights of ``Classifier.head``
                          head.json                         how the two make a classifier, and of which classes
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch

from finetune.classifiers.linear import Classifier
from ssl_skel.config import RowConfig, Section, parse_config, read_card
from ssl_skel.encoders.card import EncoderCard, load_encoder, save_encoder
from ssl_skel.encoders.encoder import Readout
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout

FORMAT_VERSION = 1
CLASSIFIER, HEAD, HEAD_CARD = "classifier", "head.safetensors", "head.json"


class HeadCard(Section):
    """What turns an encoder's features into classes; the clips' normalisation stands in the encoder's card."""

    protocol: dict[str, Any]
    """Resolved config of the row of ``PROTOCOLS`` that trained it."""

    class_names: tuple[str, ...]
    """One a logit."""

    readout: Readout
    """Of the encoder, see ``SkeletonEncoder``."""

    layout: dict[str, Any] | None = None
    """Of the clips it was trained on, where their joints were mapped to those of the encoder."""

    format_version: int = FORMAT_VERSION
    """Version of this file format."""


class SavedClassifier(NamedTuple):
    """A classifier in eval mode on the CPU, and its two cards."""

    task: Classifier
    head: HeadCard
    card: EncoderCard


def save_classifier(
    folder: Path,
    task: Classifier,
    config: RowConfig,
    class_names: Sequence[str],
    card: EncoderCard,
    layout: SkeletonLayout | None = None,
) -> None:
    """Write a classifier; each file is written beside and renamed into place, ``head.json`` last.

    Args:
        folder: made where it is missing.
        task: trained.
        config: of the row that trained it.
        class_names: one a logit.
        card: of its encoder.
        layout: of the clips, where it is not the encoder's.
    """
    save_encoder(folder, task.encoder, card)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in task.head.state_dict().items()}
    head = HeadCard(
        protocol=config.model_dump(mode="json"),
        class_names=tuple(class_names),
        readout=task.encoder.readout,
        layout=layout.to_dict() if layout else None,
    )
    for name, content in (
        (HEAD, safetensors.torch.save(weights)),
        (HEAD_CARD, json.dumps(head.model_dump(mode="json"), indent=2, ensure_ascii=False).encode()),
    ):
        beside = folder / f".{name}.part"
        beside.write_bytes(content)
        os.replace(beside, folder / name)


def load_classifier(path: Path) -> SavedClassifier:
    """Rebuild a classifier.

    Args:
        path: folder of a classifier, or of the training that holds one.

    Raises:
        UserError: there is none, or it is damaged, of another version, or does not fit its encoder.
    """
    from finetune.protocols import PROTOCOLS  # they save what is loaded here

    folder = path / CLASSIFIER if (path / CLASSIFIER).is_dir() else path
    source = folder / HEAD_CARD
    wanted, again = "evaluate with save: true to keep classifiers", "train with save: true again"
    head = read_card(HeadCard, source, FORMAT_VERSION, missing=wanted, remedy=again)
    name = head.protocol.get("name")
    row = PROTOCOLS.get(str(name))
    if row is None:
        raise UserError(f"{source}: protocol.name: unknown {name!r}; this version knows {', '.join(PROTOCOLS)}")
    config = parse_config(row.Config, head.protocol, f"{source}: protocol")
    encoder, card = load_encoder(folder)
    encoder.readout = head.readout
    with torch.random.fork_rng(devices=[]):
        task = row.classifier(config, encoder, len(head.class_names))
    if task is None:
        raise UserError(f"{source}: protocol.name: {name!r} trains no classifier; the file was edited")
    _read_weights(folder / HEAD, task)
    return SavedClassifier(task.eval(), head, card)


def _read_weights(path: Path, task: Classifier) -> None:
    try:
        weights = safetensors.torch.load_file(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; the weights belong beside {HEAD_CARD}") from error
    except safetensors.SafetensorError as error:
        raise UserError(f"{path}: is no safetensors file ({error}); train with save: true again") from error
    try:
        task.head.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{path}: does not fit {HEAD_CARD}; the two are not of one training") from error
