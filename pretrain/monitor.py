"""Evaluates the features while they are being learned."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from accelerate import Accelerator
from torch import Tensor

from pretrain.config import PretrainConfig
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.splits import Split
from ssl_skel.data.store import Store
from ssl_skel.embedding.features import extract_features, whole_clips
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.escaping import say
from ssl_skel.evaluation.baselines import raw_features
from ssl_skel.evaluation.knn import knn_predict
from ssl_skel.evaluation.linear import linear_probe
from ssl_skel.evaluation.quality import alignment, evenly_spaced, feature_std, rankme, uniformity
from ssl_skel.evaluation.shortcut import GROUP, log_proportions, match_rate
from ssl_skel.pretexts.base import Pretext
from ssl_skel.progress import note

DRAWN = 256
"""Most training clips, evenly spaced, whose augmented draws ``alignment`` and ``shortcut`` compare."""
TOO_HIGH = 0.2
"""A ``shortcut`` above it causes a warning, if the pretext compares clips."""
FEWEST = 20
"""With fewer clips there is no warning, since chance alone comes near."""
PROBE_C = 0.01
"""C of the online probe. Fixed, so that an evaluation is quick; the linear protocol chooses C by cross-validation."""


def watcher(
    config: PretrainConfig, store: Store, split: Split, pretext: Pretext, accelerator: Accelerator
) -> Callable[[int], dict[str, float]]:
    """What the features are like so far: called with the epoch, it returns figures for the log.

    Without labels, of the training clips: ``feature_std``, ``rankme`` and ``uniformity`` of whole clips, and
    ``alignment`` of two draws as the run crops and augments them, the same two every time;
    ``ssl_skel.evaluation.quality`` says how to read them. Of the same draws ``shortcut``, which no encoder changes: how
    often body proportions alone match them. By labels, where both parts of the split have some: accuracy on its test
    clips of the nearest training clip (``knn_1``), of the same on raw coordinates (``knn_1_raw``), and of logistic
    regression on the training clips' features (``linear``). A high shortcut causes a warning at once, before training.
    Where other clips serve as positives, ``purity`` is the share of them that have their clip's label.

    It is for monitoring. Nothing is chosen, stopped or tuned by it within a run; comparing runs by its accuracies uses
    the test clips. And it changes nothing: features are arrays made in eval mode under ``torch.inference_mode``, so no
    gradient of a probe can reach the encoder, whose modes and buffers stay as they were; no global random number is
    drawn. Features that are not finite have no figures.
    """
    train, test = split.train, split.test[store.label[split.test] >= 0]
    known = store.label[train] >= 0
    taught, truth = store.label[train[known]], store.label[test]
    labelled = len(test) > 0 and len(np.unique(taught)) > 1
    rows = np.concatenate([train, test]) if labelled else train
    whole = whole_clips(
        store,
        rows,
        num_frames=config.data.num_frames,
        batch_size=config.train.batch_size,
        device=accelerator.device,
        resident=config.data.resident,
    )
    pooled = pretext.encoder.with_pooling(PoolingConfig(over="mean"))  # by any network, so that curves of all compare
    drawn = _draws(config, store, train[evenly_spaced(len(train), DRAWN)], accelerator)
    shortcut = _shortcut(drawn, config, warn=pretext.couples_clips and accelerator.is_main_process)

    def one_nn(features: np.ndarray) -> float:
        guess = knn_predict(features[: len(train)][known], taught, features[len(train) :], ks=(1,))[1]
        return float((guess == truth).mean())

    def linear(features: np.ndarray) -> float:
        classes = int(store.label.max()) + 1
        fit, held = features[: len(train)][known], features[len(train) :]
        return float((linear_probe(fit, taught, held, num_classes=classes, c=PROBE_C).predicted == truth).mean())

    raw = cache(lambda: one_nn(raw_features(store, rows)))

    def watch(epoch: int) -> dict[str, float]:
        features = extract_features(pooled, whole)
        first, second = (extract_features(pooled, drawn, epoch=draw) for draw in (0, 1))
        figures: dict[str, float] = {}
        if all(np.isfinite(found).all() for found in (features, first, second)):
            if labelled:
                figures |= {"knn_1": one_nn(features), "knn_1_raw": raw(), "linear": linear(features)}
            figures |= _purity(pretext.matches, store.label) | _without_labels(features[: len(train)])
            figures |= {"alignment": alignment(first, second), "shortcut": shortcut}
        if config.train.progress:
            note(_line(epoch, figures))
        return figures

    return watch


def _draws(config: PretrainConfig, store: Store, rows: np.ndarray, accelerator: Accelerator) -> ClipLoader:
    """Clips as the run crops and augments them; every epoch of it is another draw."""
    return ClipLoader(
        store,
        rows,
        num_frames=config.data.num_frames,
        sampling=config.data.sampling,
        crop=config.data.crop,
        min_frames=config.data.min_frames,
        max_frames=config.data.max_frames,
        batch_size=config.train.batch_size,
        augment=Augment(config.augment, store.layout),
        seed=config.seed,
        device=accelerator.device,
        resident="never",  # not one more copy of the store for a few clips
        labels=False,
    )


def _purity(matches: Tensor | None, label: np.ndarray) -> dict[str, float]:
    """How often clips and those that served as their positives share a label, among pairs that both have one."""
    if matches is None:
        return {}
    pairs = label[matches.cpu().numpy()]
    pairs = pairs[(pairs >= 0).all(1)]
    return {"purity": float((pairs[:, 0] == pairs[:, 1]).mean())} if len(pairs) else {}


def _without_labels(features: np.ndarray) -> dict[str, float]:
    return {"feature_std": feature_std(features), "rankme": rankme(features), "uniformity": uniformity(features)}


def _shortcut(drawn: ClipLoader, config: PretrainConfig, *, warn: bool) -> float:
    """How often body proportions match two draws; prints a line on stderr if that is too often and ``warn`` is set."""
    found, clips = match_rate(log_proportions(drawn, 0), log_proportions(drawn, 1)), len(drawn.rows)
    if warn and found > TOO_HIGH and clips >= FEWEST:
        missing = [name for name in ("bones", "offset") if name not in [row.name for row in config.augment]]
        remedy = f"add {' and '.join(missing)}" if missing else "raise amount of bones or sigma of offset"
        say(
            f"warning: augment: body proportions alone match {100 * found:.0f} % of clips to their other draw (among "
            f"{min(clips, GROUP)}), so {config.pretext.name} may learn who moves instead of what is done; {remedy}",
            error=True,
        )
    return found


def _line(epoch: int, figures: dict[str, float]) -> str:
    """What a person looks at first."""
    shares = {"1-NN": "knn_1", "raw coordinates": "knn_1_raw", "linear": "linear"}
    parts = [f"{name} {100 * figures[key]:.1f} %" for name, key in shares.items() if key in figures]
    parts.append(f"rank {figures['rankme']:.1f}" if figures else "the features are not finite")
    return f"epoch {epoch}: {', '.join(parts)}"
