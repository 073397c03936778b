"""Apply a trained classifier to new recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch

from finetune.classifiers.linear import Classifier
from finetune.classifiers.names import CLASSIFIER, HEAD, HEAD_CARD
from finetune.classifiers.saved import FORMAT_VERSION, HeadCard
from finetune.classifiers.typical import Typical, confidence
from finetune.protocols import PROTOCOLS
from finetune.trainings.choice import choose_trainings
from finetune.transfer import mapped_store
from ssl_skel.config import parse_config, read_card
from ssl_skel.data.adapted import COMMON
from ssl_skel.data.sources.recordings import is_store
from ssl_skel.data.store import Store
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.files import load_encoder, read_weights
from ssl_skel.errors import UserError
from ssl_skel.evaluation.predictions import Predictions
from ssl_skel.layouts import parse_layout
from ssl_skel.progress import progress


class SavedClassifier(NamedTuple):
    """A classifier in eval mode on the CPU, its two cards, and what is typical of its classes, where that is kept."""

    task: Classifier
    head: HeadCard
    card: EncoderCard
    typical: Typical | None


def predict(
    run: Path,
    source: Path,
    *,
    format: str = "",
    options: Sequence[str] = (),
    training: str = "",
    videos: Path | None = None,
    min_confidence: float | None = None,
    skip_bad: bool = False,
) -> Predictions:
    """Classify recordings with a classifier, or with those of an evaluation.

    Each clip is normalised as the encoder's training clips were and taken whole, as test clips are. Classifiers that
    differ only in seed or encoder are all used, and their probabilities averaged.

    Args:
        run: classifier of ``train-classifier``, evaluation with ``save: true``, or the folder of one training.
        source: raw recording, a folder of them, or a store.
        format: name in ``READERS``; default: the first that reads the source.
        options: ``key=value`` words for its reader; default: those by which the training clips were converted.
        training: beginning of the names of the trainings to use, where the evaluation has several kinds.
        videos: folder of the recordings' videos, named as those of the training; for ``two_stream`` alone.
        min_confidence: below it the answer is "none of these"; default: as the classifier's card says, else 0.
        skip_bad: leave damaged files and clips of raw recordings out; the result lists them.

    Raises:
        UserError: no such training, several kinds of them, no classifier kept, a source that does not fit, or videos
            that are missing or not needed.
    """
    folders = choose_trainings(run, training)
    saved = [load_classifier(folder) for folder in folders]
    task, head, card, _ = saved[0]
    target = task.encoder.layout
    mapped = head.layout and target.name != COMMON  # whose encoders map clips themselves
    layout = parse_layout(head.layout, f"{folders[0]}: layout") if mapped else target
    store = Embedder.of(task.encoder, card).clips(source, format, layout, options=options, skip_bad=skip_bad)
    skipped = () if is_store(source) else store.provenance.skipped
    if layout != target:
        store = mapped_store(store, target)
    with TemporaryDirectory() as room:
        if videos:
            for one in saved:
                one.task.take_videos(videos, store.name.tolist(), Path(room))
        answers = [_answers(one, store) for one in saved]
    probability, (_, sure) = np.mean([one for one, _ in answers], axis=0), answers[0]
    names = tuple(folder.name for folder in folders)
    if min_confidence is None:
        min_confidence = head.estimate.threshold if head.estimate else 0.0
    clips = tuple(store.name.tolist())
    own = sure if len(saved) == 1 else None
    return Predictions(clips, head.class_names, probability, names, head.estimate, min_confidence, own, skipped)


def load_classifier(path: Path) -> SavedClassifier:
    """Rebuild a classifier from its cards and weights; nothing is unpickled.

    Args:
        path: folder of a classifier, or of the training that holds one.

    Raises:
        UserError: it is missing, damaged, of another version, or does not fit its encoder.
    """
    folder = path / CLASSIFIER if (path / CLASSIFIER).is_dir() else path
    source = folder / HEAD_CARD
    wanted, again = "evaluate with save: true to keep classifiers", "train it again"
    head = read_card(HeadCard, source, FORMAT_VERSION, missing=wanted, remedy=again)
    options = PROTOCOLS.config(head.protocol.get("name"), f"{source}: protocol.name")
    config = parse_config(options, head.protocol, f"{source}: protocol", written=True)
    encoder, card = load_encoder(folder, head.pooling)
    with torch.random.fork_rng(devices=[]):
        task = PROTOCOLS[config.name].classifier(config, encoder, len(head.class_names))
    if task is None:
        raise UserError(f"{source}: protocol.name: {config.name!r} trains no classifier; the file was edited")
    read_weights(folder / HEAD, task.head, HEAD_CARD, again)
    typical = Typical.load(folder, len(head.class_names), encoder.dim)
    return SavedClassifier(task.eval(), head, card, typical)


def _answers(saved: SavedClassifier, store: Store) -> tuple[np.ndarray, np.ndarray | None]:
    """(N, classes) float64 probabilities of all clips of a store, whole clips as test clips are taken.

    And the confidence (N,), where what is typical of the classes is kept.
    """
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    task = saved.task.to(device)
    embedder = Embedder.of(task.encoder, saved.card)
    with torch.inference_mode():
        if saved.typical:
            features = embedder.features(store, progress=True)
            probability = task.head(torch.from_numpy(features).to(device)).double().softmax(1).cpu().numpy()
            return probability, confidence(probability, saved.typical.cosines(features))
        loader = embedder.loader(store)
        bar = progress(loader.epoch(), "predict", total=len(loader), unit="batch", leave=False, delay=1.0)
        parts = [task.logits(batch).double().softmax(1).cpu().numpy() for batch in bar]
    return np.concatenate(parts), None
