"""What is measured: raw coordinates, untrained encoders, pretrained encoders, each with its features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from finetune.checks import Loaded, built_as
from finetune.config import FinetuneConfig
from finetune.protocols.base import EvalContext, FeatureSet
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.encoders.card import EncoderCard, Origin
from ssl_skel.encoders.encoder import SkeletonEncoder, fresh_like
from ssl_skel.errors import UserError
from ssl_skel.evaluation.baselines import BASELINES, raw_features


class FeatureSets:
    """Makes each kind of features once, for all clips of the store; splits take their rows."""

    def __init__(self, config: FinetuneConfig, context: EvalContext) -> None:
        self.config, self.context, self.store = config, context, context.store
        self._made: dict[str, FeatureSet] = {}

    def of(self, loaded: Loaded) -> list[FeatureSet]:
        """The requested baselines, then the pretrained encoders; with ``scratch``, fresh weights only."""
        found, scratch = [], self.config.scratch is not None
        for name, baseline in BASELINES.items():
            if name in self.config.baselines:
                if name not in self._made:
                    features = (raw_features(self.store, name=name),)
                    self._made[name] = FeatureSet(name, features, num_frames=baseline.frames, raw=name)
                found.append(self._made[name])
        if scratch or "untrained" in self.config.baselines:
            key = repr(built_as(loaded[0][1]))
            if key not in self._made:
                fresh = [_fresh(loaded[0][0], seed) for seed in self.config.seeds]
                self._made[key] = self._encode("untrained", [(one, loaded[0][1]) for one in fresh], [None] * len(fresh))
            found.append(self._made[key])
        if scratch:
            return found
        key = repr([id(encoder) for encoder, _ in loaded])
        if key not in self._made:
            self._made[key] = self._encode("pretrained", loaded, [card.origin for _, card in loaded])
        return [*found, self._made[key]]

    def _encode(
        self, name: str, encoders: Sequence[tuple[SkeletonEncoder, EncoderCard]], origins: Sequence[Origin | None]
    ) -> FeatureSet:
        """Features of all clips; ``seen`` warns of a store normalised differently from what a card says."""
        accelerator, data = self.context.accelerator, self.config.data
        embedders = [
            Embedder.of(
                encoder.to(accelerator.device),
                card,
                batch_size=data.batch_size,
                precision=accelerator.mixed_precision,
                resident=data.resident,
            )
            for encoder, card in encoders
        ]
        features = tuple(embedder.features(self.store, progress=True) for embedder in embedders)
        for found in features:
            self._check_finite(found)
        placed = tuple(embedder.encoder for embedder in embedders)
        return FeatureSet(name, features, placed, embedders[0].num_frames, tuple(origins))

    def _check_finite(self, features: np.ndarray) -> None:
        wrong = np.flatnonzero(~np.isfinite(features).all(1))
        if len(wrong):
            raise UserError(
                f"{self.store.path}: an encoder's features of {len(wrong)} clips are not finite, first "
                f"{str(self.store.name[wrong[0]])!r}; use precision no, or another encoder"
            )


def _fresh(encoder: SkeletonEncoder, seed: int) -> SkeletonEncoder:
    """The same encoder with untrained weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return fresh_like(encoder)
