"""Training the encoder itself on labels: all of them, or few."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TypeVar

import numpy as np
from torch import nn

from finetune.classifiers.head import add_head
from finetune.classifiers.linear import Classifier
from finetune.protocols.base import FeatureSet, Protocol
from finetune.protocols.configs.trained import FewLabelsConfig, FullConfig, SemiConfig
from finetune.protocols.configs.training import TrainingConfig
from finetune.trainings.index import Training
from finetune.trainings.predictions import Outcome
from finetune.trainings.spec import TrainingSpec
from finetune.trainings.supervised import train_classifier, train_config, training_clips
from ssl_skel.data.splits import Split
from ssl_skel.data.subsets import Budget, label_subset
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.training_data import TrainingData
from ssl_skel.errors import UserError
from ssl_skel.evaluation.answers import Guess
from ssl_skel.evaluation.report import Figure, Measurement
from ssl_skel.training.loop import Loader

TrainingT = TypeVar("TrainingT", bound=TrainingConfig)
FewLabelsT = TypeVar("FewLabelsT", bound=FewLabelsConfig)


class Trained(Protocol[TrainingT]):
    """Fine-tuning; for untrained encoders it is training from scratch with the same recipe, and is called that.

    Each pretrained encoder is trained with every seed, an untrained one only with its own. Raw coordinates have
    nothing to train.

    Departs from print: the last epoch is the figure; papers take the best epoch on the test clips, which
    is reported next to it under that name.
    """

    @property
    def title(self) -> str:
        """What reports call it."""
        return "fine-tuned"

    @property
    @abstractmethod
    def budgets(self) -> tuple[Budget | None, ...]:
        """How many labels; None is all of them."""

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(self._name(budget) for budget in self.budgets)

    def _name(self, budget: Budget | None) -> str:
        return self.title if budget is None else f"{self.title}, {budget}"

    @classmethod
    @abstractmethod
    def classifier(cls, config: TrainingT, encoder: SkeletonEncoder, num_classes: int) -> Classifier: ...

    def task(self, encoder: SkeletonEncoder) -> Classifier:
        """The classifier for the store's classes."""
        return self.classifier(self.config, encoder, self.context.store.num_classes)

    def loader(self, spec: TrainingSpec) -> Loader:
        """This rank's share of the labelled clips, repeated where they are few."""
        rows = np.tile(spec.train, max(1, -(-self.config.min_clips // len(spec.train))))
        return training_clips(self.config, self.context, spec, rows, batch_size=self.config.batch_size, seed=spec.seed)

    def unlabelled(self, split: Split, validation: np.ndarray) -> np.ndarray:
        """Rows of a split to train on without labels, given those that are held out."""
        return validation[:0]

    def check(self, split: Split, encoder: SkeletonEncoder) -> None:
        accelerator = self.context.accelerator
        train_config(self.config).loader_batch(accelerator.num_processes)
        self.check_shared(encoder, "the network")
        network = encoder.backbone.config
        if self.config.drop_path is not None and "drop_path" not in type(network).model_fields:
            raise UserError(f"{self.config.name}: drop_path: {network.name} has none; leave it out")
        for budget in self.budgets:
            for seed in self.context.seeds:
                self._parted(self._labelled(split, budget, seed)[0], seed)

    def check_shared(self, module: nn.Module, what: str) -> None:
        """Refuse several processes on a CPU where a part of a batch is not normalised as the whole.

        Args:
            module: each process gives its own part of a batch to.
            what: it is, for the message.

        Raises:
            UserError: it has BatchNorm.
        """
        mixes = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())
        if mixes and self.context.accelerator.num_processes > 1 and self.context.accelerator.device.type == "cpu":
            raise UserError(
                f"{self.config.name}: {what} has BatchNorm, whose statistics processes on a CPU cannot share, so "
                "the figures would not be those of one process; use one, or norm: layer there"
            )

    def measure(self, feature_set: FeatureSet, split: Split) -> list[Measurement]:
        return [self._measure(feature_set, split, budget) for budget in self.budgets] if feature_set.encoders else []

    def _measure(self, feature_set: FeatureSet, split: Split, budget: Budget | None) -> Measurement:
        truth = self.context.store.label[split.test]
        guesses, best, hashes, folders = [], [], [], []
        notes: list[str] = []
        for at, seed in feature_set.pairs(self.context.seeds):
            rows, remarks, digest = self._labelled(split, budget, seed)
            found = self.once(
                (feature_set, at, seed, split.train.tobytes(), rows.tobytes()),
                partial(self._train, feature_set, at, seed, split, budget, rows),
            )
            logits, by_epoch = found.of(split.test)
            guesses.append(Guess(split.test, logits.argmax(1), logits))
            best.append(float((by_epoch == truth).mean(1).max()))
            folders.append((at, seed, found.folder))
            notes += remarks
            hashes += [digest[:12]] if digest else []
            if self.config.select == "validation":
                notes.append(f"seed {seed}: epoch {found.epoch}, the best one on the validation subjects")
        if hashes:
            notes.append(f"label subsets {', '.join(dict.fromkeys(hashes))} (sha256), kept in the store")
        features = "scratch" if feature_set.name == "untrained" else feature_set.name
        measure = self._name(budget)
        stream = feature_set.encoders[0].stream
        self.trainings += [
            Training(
                split=split.name, features=features, measure=measure, stream=stream, encoder=at, seed=seed, folder=f
            )
            for at, seed, f in folders
        ]
        return self.figure(
            split.name,
            features,
            measure,
            guesses,
            figures={"best_on_test": Figure.of(best)} if self.config.eval_every else {},
            notes=tuple(dict.fromkeys(notes)),
        )

    def _train(
        self, feature_set: FeatureSet, at: int, seed: int, split: Split, budget: Budget | None, rows: np.ndarray
    ) -> Outcome:
        train, validation = self._parted(rows, seed)
        size = "all" if budget is None else budget.slug
        spec = TrainingSpec(
            name=f"{split.name}_{feature_set.name}{at}_{size}_seed{seed}",
            encoder=feature_set.encoders[at],
            train=train,
            validation=validation,
            test=self.context.tested(split.train),
            seed=seed,
            pretrained=feature_set.name == "pretrained",
            unlabelled=self.unlabelled(split, validation),
            data=TrainingData.of(self.context.store, split, labels="all" if budget is None else str(budget)),
            origin=feature_set.origins[at],
        )
        return train_classifier(self.config, self.context, spec, self.task, self.loader)

    def _labelled(self, split: Split, budget: Budget | None, seed: int) -> tuple[np.ndarray, tuple[str, ...], str]:
        """Rows whose labels may be used, what to know of them, and the subset's hash."""
        if budget is None:
            return split.train, (), ""
        subset = label_subset(self.context.store, split, budget, seed)
        return subset.rows, subset.notes, subset.sha256

    def _parted(self, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows to train on, and those of the subjects that are held out to choose the epoch by.

        Raises:
            UserError: subjects are unknown or too few, or what is left lacks a class.
        """
        if self.config.select == "last":
            return rows, rows[:0]
        store, where = self.context.store, f"{self.config.name}: select: validation"
        subjects = np.unique(store.subject[rows])
        if subjects[0] < 0 or len(subjects) < 2:
            raise UserError(f"{where}: needs training clips of two known subjects or more; use select: last")
        count = min(max(1, round(self.config.validation_share * len(subjects))), len(subjects) - 1)
        aside = np.random.default_rng((seed, count)).permutation(subjects)[:count]
        validation = np.isin(store.subject[rows], aside)
        missing = np.setdiff1d(store.label[rows], store.label[rows[~validation]])
        if len(missing):
            raise UserError(
                f"{where}: without the held-out subjects, class {store.class_names[missing[0]]} has no clip left "
                f"among {len(rows)}; lower validation_share, or use select: last"
            )
        return rows[~validation], rows[validation]


class Full(Trained[FullConfig]):
    """All labels of the training clips."""

    Config = FullConfig

    @property
    def budgets(self) -> tuple[Budget | None, ...]:
        return (None,)

    @classmethod
    def classifier(cls, config: FullConfig, encoder: SkeletonEncoder, num_classes: int) -> Classifier:
        return add_head(encoder, config.head, num_classes, label_smoothing=config.label_smoothing)


class FewLabels(Trained[FewLabelsT]):
    """Stratified subsets of the labels, one per seed; see ``ssl_skel.data.subsets``."""

    @property
    def budgets(self) -> tuple[Budget | None, ...]:
        return self.config.budgets


class Semi(FewLabels[SemiConfig]):
    """Few labels; the other clips are not used.

    Departs from print: MAMP draws its subsets without regard to classes.
    """

    Config = SemiConfig

    @classmethod
    def classifier(cls, config: SemiConfig, encoder: SkeletonEncoder, num_classes: int) -> Classifier:
        return add_head(encoder, config.head, num_classes, label_smoothing=config.label_smoothing)
