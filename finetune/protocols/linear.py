"""Linear probes of frozen features: logistic regression on cached features, or a layer that is trained."""

from __future__ import annotations

import copy
import shutil
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from finetune.classifiers.linear import Classifier
from finetune.classifiers.names import CLASSIFIER
from finetune.classifiers.probe import NEVER, save_probe
from finetune.protocols.base import FeatureSet, Protocol
from finetune.protocols.configs.linear import LinearConfig
from finetune.trainings.fingerprint import options_hash
from finetune.trainings.index import TRAININGS, Training
from finetune.trainings.predictions import save_predictions
from ssl_skel.config import dump_config
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.splits import Split
from ssl_skel.embedding.features import extract_features
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.evaluation.answers import Guess
from ssl_skel.evaluation.baselines import raw_draws
from ssl_skel.evaluation.linear import LinearProbe, linear_probe
from ssl_skel.evaluation.report import Figure, Measurement
from ssl_skel.training.config import OptimConfig
from ssl_skel.training.loop import TrainConfig, fit
from ssl_skel.training.rundir import RunDir


class _TrainedHead(NamedTuple):
    """What a trained head says of all clips of the store."""

    logits: np.ndarray  # (N, classes) after the last epoch
    by_epoch: np.ndarray  # (epochs, N), the class after each


class Linear(Protocol[LinearConfig]):
    """Linear probe on frozen features.

    Departs from print: the last epoch is the figure; papers take the best epoch on the test clips, which
    is reported next to it under that name. SGD uses Nesterov momentum, the only kind here.
    """

    Config = LinearConfig

    def check(self, split: Split, encoder: SkeletonEncoder) -> None:
        if self.config.mode != "cached":
            self._train_config().loader_batch(self.context.accelerator.num_processes)

    @property
    def measures(self) -> tuple[str, ...]:
        # Raw coordinates pass no encoder: where others get the trained probe, they get the cached one.
        return (self._cached_name,) if self.config.mode == "cached" else (self._cached_name, "linear, trained")

    @property
    def _cached_name(self) -> str:
        views = self.config.augmented_views
        return f"linear, cached, {views} augmented view{'s' * (views > 1)}" if views else "linear, cached"

    def measure(self, feature_set: FeatureSet, split: Split) -> list[Measurement]:
        found = []
        if self.config.mode != "trained" or not feature_set.encoders:
            found.append(self._cached(feature_set, split))
        if self.config.mode != "cached" and feature_set.encoders:
            found.append(self._trained(feature_set, split))
        return found

    def _cached(self, feature_set: FeatureSet, split: Split) -> Measurement:
        train = split.train.tobytes()
        probes = [
            self.once(("cached", feature_set, at, train), partial(self._fit, feature_set, at, split.train))
            for at in range(len(feature_set.features))
        ]
        guesses = [Guess(split.test, probe.predicted[split.test], probe.scores[split.test]) for probe in probes]
        notes = tuple(dict.fromkeys(note for probe in probes for note in probe.notes))
        name = self._cached_name
        if self.config.save and feature_set.name == "pretrained":
            self.trainings += [self._kept(feature_set, at, split, name, probe) for at, probe in enumerate(probes)]
        return self.figure(split.name, feature_set.name, name, guesses, notes=notes)

    def _kept(self, feature_set: FeatureSet, at: int, split: Split, measure: str, probe: LinearProbe) -> Training:
        key = ("kept", feature_set, at, split.train.tobytes())
        return Training(
            split=split.name,
            features=feature_set.name,
            measure=measure,
            stream=feature_set.encoders[at].stream,
            encoder=at,
            seed=self.context.seeds[0],
            folder=self.once(key, partial(self._keep, feature_set, at, split, probe)),
        )

    def _keep(self, feature_set: FeatureSet, at: int, split: Split, probe: LinearProbe) -> str:
        """Write a probe as a classifier, and its log-odds of the test clips; returns the name of its folder."""
        context, encoder, origin = self.context, feature_set.encoders[at], feature_set.origins[at]
        store, test = context.store, context.tested(split.train)
        mark = options_hash(self.config)[:12]
        folder = context.folder / TRAININGS / f"{split.name}_{feature_set.name}{at}_linear_{mark}"
        if context.accelerator.is_main_process:
            save_probe(folder / CLASSIFIER, probe, encoder, origin, self.config, store, layout=context.mapped_from)
            save_predictions(folder, name=store.name[test], logits=probe.scores[test].clip(NEVER))
        return folder.name

    @classmethod
    def classifier(cls, config: LinearConfig, encoder: SkeletonEncoder, num_classes: int) -> Classifier:
        return Classifier(encoder, num_classes, frozen=True)

    def _fit(self, feature_set: FeatureSet, at: int, train: np.ndarray) -> LinearProbe:
        """Fitted on the training clips, applied to all clips of the store."""
        store, features = self.context.store, feature_set.features[at]
        subject = store.subject[train]
        return linear_probe(
            features[train],
            store.label[train],
            features,
            num_classes=store.num_classes,
            groups=subject if (subject >= 0).all() else None,
            augmented_views=self._augmented_views(feature_set, at, train) if self.config.augmented_views else None,
            c=self.config.c,
        )

    def _augmented_views(self, feature_set: FeatureSet, at: int, train: np.ndarray) -> np.ndarray:
        """(views, training clips, D); every feature set sees the same draws."""
        context = self.context
        loader = self._loader(train, feature_set.num_frames, context.seeds[0], shuffle=False)
        numbers = range(self.config.augmented_views)
        if feature_set.raw is not None:
            return np.stack([raw_draws(loader, number, feature_set.raw) for number in numbers])
        encoder = feature_set.encoders[at]
        return np.stack([extract_features(encoder, loader, epoch=n, autocast=context.autocast) for n in numbers])

    def _loader(self, train: np.ndarray, frames: int, seed: int, *, shuffle: bool) -> ClipLoader:
        """Augmented training clips: shuffled batches that ranks share, or all of them in order on each rank."""
        context, accelerator = self.context, self.context.accelerator
        return ClipLoader(
            context.store,
            train,
            num_frames=frames,
            batch_size=self.config.batch_size,
            crop=self.config.crop,
            shuffle=shuffle,
            drop_last=shuffle,
            augment=Augment(self.config.augment, context.store.layout),
            seed=seed,
            device=accelerator.device,
            resident=context.resident,
            rank=accelerator.process_index if shuffle else 0,
            world_size=accelerator.num_processes if shuffle else 1,
        )

    def _train_config(self) -> TrainConfig:
        config = self.config
        return TrainConfig(
            epochs=config.epochs,
            batch_size=config.batch_size,
            eval_every=1,
            checkpoint_every=0,
            checkpoint_minutes=60.0,
        )

    def _trained(self, feature_set: FeatureSet, split: Split) -> Measurement:
        train = split.train.tobytes()
        probes = [
            self.once(("trained", feature_set, at, seed, train), partial(self._train, feature_set, at, seed, split))
            for at, seed in feature_set.pairs(self.context.seeds)
        ]
        logits = [probe.logits[split.test] for probe in probes]
        truth = self.context.store.label[split.test]
        best = [float((probe.by_epoch[:, split.test] == truth).mean(1).max()) for probe in probes]
        return self.figure(
            split.name,
            feature_set.name,
            self.measures[-1],
            [Guess(split.test, last.argmax(1), last) for last in logits],
            figures={"best_on_test": Figure.of(best)},
        )

    def _train(self, feature_set: FeatureSet, at: int, seed: int, split: Split) -> _TrainedHead:
        """Train a head, and apply it to all clips of the store after each epoch: their features are at hand."""
        config, context, accelerator = self.config, self.context, self.context.accelerator
        optim = OptimConfig(name="sgd", lr=config.lr, momentum=config.momentum, weight_decay=0.0)
        loader = self._loader(split.train, feature_set.num_frames, seed, shuffle=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            task = self.classifier(config, copy.deepcopy(feature_set.encoders[at]), context.store.num_classes)
        task.to(accelerator.device)
        features = torch.from_numpy(feature_set.features[at]).to(accelerator.device)
        truth = context.store.label[split.test]
        by_epoch: list[np.ndarray] = []

        def logits() -> np.ndarray:
            with torch.inference_mode():
                return task.eval().head(features).double().cpu().numpy()

        def evaluate(_: int) -> dict[str, float]:
            by_epoch.append(logits().argmax(1))
            return {"test_accuracy": float((by_epoch[-1][split.test] == truth).mean())}

        run = RunDir.create(
            context.folder / "probes" / f"{split.name}_{feature_set.name}{at}_seed{seed}",
            dump_config(config),
            rank=accelerator.process_index,
            again="the same command measures it again",
        )
        fit(
            task,
            loader,
            optim,
            self._train_config(),
            accelerator=accelerator,
            run=run,
            seed=seed,
            on_epoch=evaluate,
        )
        if accelerator.is_main_process:
            shutil.rmtree(run.checkpoints)  # a probe is measured, not kept
        last = logits()
        return _TrainedHead(last, np.stack(by_epoch or [last.argmax(1)]))  # rank 0 alone evaluates
