"""A classifier trained on everything labelled in a store, with an estimate of its accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finetune.classifiers.names import KEEP
from finetune.classifiers.probe import save_probe
from finetune.classifiers.typical import Typical
from finetune.held_out import estimate, groups_of
from finetune.protocols.configs.linear import LinearConfig
from ssl_skel.data.store import Store
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.errors import UserError
from ssl_skel.evaluation.estimate import Estimate
from ssl_skel.evaluation.linear import linear_probe
from ssl_skel.files.partial import whole_folder


def train_classifier(
    store: Path,
    output: Path,
    encoder: Path,
    *,
    pooling: str | None = None,
    keep: float = KEEP,
    batch_size: int = 128,
    device: str = "auto",
    overwrite: bool = False,
) -> Estimate:
    """Train a linear classifier on frozen features of all labelled clips, and write it for ``predict``.

    It is the cached linear probe of ``finetune``: logistic regression, its C chosen by cross-validation over people.

    Args:
        store: folder of the clips.
        output: folder to make.
        encoder: run directory, folder of an encoder, or ``box/NAME``.
        pooling: of the encoder's features; default: as its card says.
        keep: share of right answers that must not become "none of these".
        batch_size, device: as for ``Embedder``.
        overwrite: replace a classifier that is there.

    Returns:
        The estimate, which the classifier's card holds too.

    Raises:
        UserError: encoder and store do not fit, fewer than two classes have clips, all are of one recording, or
            something is in the place of ``output``.
    """
    opened = Store.open(store)
    rows = np.flatnonzero(opened.label >= 0)
    label = opened.label[rows]
    if len(np.unique(label)) < 2:
        raise UserError(f"{store}: {len(np.unique(label))} classes have clips; label clips of two classes or more")
    groups, by = groups_of(opened, rows)
    embedder = Embedder(encoder, pooling=pooling, device=device, batch_size=batch_size)
    with whole_folder(output, overwrite=overwrite, kind="classifier", inputs=[store, encoder]) as folder:
        clips = embedder.clips(opened)
        features = embedder.features(clips, rows, progress=True)
        names = opened.class_names
        probe = linear_probe(features, label, features[:1], num_classes=len(names), groups=groups)
        found = estimate(features, label, groups, by, names, c=probe.c, keep=keep)
        config = LinearConfig(c=probe.c, save=True)
        Typical.of(features, label, len(names)).save(folder)
        save_probe(folder, probe, embedder.encoder, embedder.card.origin, config, clips, estimate=found)
    return found
