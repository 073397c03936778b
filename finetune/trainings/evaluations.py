"""Predictions after some epochs of a training, on disk until the epoch to report is chosen."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch

from finetune.classifiers.linear import Classifier
from finetune.classifiers.names import CLASSIFIER
from finetune.classifiers.saved import save_classifier
from finetune.protocols.base import EvalContext
from finetune.protocols.configs.training import TrainingConfig
from finetune.trainings.predictions import save_predictions
from finetune.trainings.spec import TrainingSpec
from ssl_skel.embedding.features import whole_clips
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.files import folders
from ssl_skel.files.atomic import replacing

EVALUATIONS, FORMER = "evaluations", "looks"
"""Folder of a training; release 0.1 called it ``looks``."""


class EpochEvaluations:
    """Evaluates a task after an epoch, and keeps the logits, and the weights if the config requests them.

    Args:
        config: says which epochs' weights are kept.
        context: the evaluation.
        spec: test and validation clips.
        task: being trained.
        folder: of the training.
    """

    def __init__(
        self, config: TrainingConfig, context: EvalContext, spec: TrainingSpec, task: Classifier, folder: Path
    ) -> None:
        self.config, self.context, self.spec, self.task = config, context, spec, task
        self.folder = folder / EVALUATIONS
        rows = np.concatenate([spec.test, spec.validation])
        self._label = context.store.label[rows]
        self._loader = whole_clips(
            context.store,
            rows,
            num_frames=spec.encoder.backbone.num_frames,
            device=context.accelerator.device,
            resident=context.resident,
        )

    def __call__(self, epoch: int) -> dict[str, float]:
        """Evaluate the task as it is after an epoch, counted from 1; returns accuracies to log."""
        self.task.eval()
        with torch.inference_mode(), self.context.accelerator.autocast():
            parts = [self.task.logits(batch).float().cpu().numpy() for batch in self._loader.epoch()]
        logits = np.concatenate(parts)
        with replacing(self.folder / f"epoch_{epoch:05d}.npy") as file:
            np.save(file, logits)
        if self.config.save and (self.config.select == "validation" or epoch == self.config.epochs):
            self._save(self.folder / f"epoch_{epoch:05d}")
        right, tests = logits.argmax(1) == self._label, len(self.spec.test)
        accuracies = {"test_accuracy": float(right[:tests].mean())}
        if len(self.spec.validation):
            accuracies["validation_accuracy"] = float(right[tests:].mean())
        return accuracies

    def _save(self, folder: Path) -> None:
        store, spec = self.context.store, self.spec
        card = EncoderCard.of(
            self.task.encoder,
            normalization=store.normalization,
            conversions=store.conversions,
            data=spec.data,
            init=spec.origin,
            seed=spec.seed,
        )
        save_classifier(folder, self.task, self.config, store.class_names, card, self.context.mapped_from)


def adopt_evaluations(folder: Path, config: TrainingConfig) -> None:
    """Prepare the folder of a new or interrupted training.

    Where the epoch is chosen and its weights are to be kept, a training that began without keeping any starts again:
    the epoch chosen might be one whose weights are gone.
    """
    kept = folder / EVALUATIONS
    if (folder / FORMER).is_dir() and not kept.exists():
        folders.move(folder / FORMER, kept)
    without_weights = any(not file.with_suffix("").is_dir() for file in kept.glob("epoch_*.npy"))
    if config.save and config.select == "validation" and without_weights:
        shutil.rmtree(folder)


def conclude(config: TrainingConfig, context: EvalContext, spec: TrainingSpec, folder: Path) -> None:
    """Choose the epoch, write its predictions (and its weights if requested), and drop checkpoints and evaluations."""
    files = sorted((folder / EVALUATIONS).glob("epoch_*.npy"))
    logits = np.stack([np.load(file, allow_pickle=False) for file in files])  # (epochs, test + validation, classes)
    predicted, tests, at = logits.argmax(2), len(spec.test), len(files) - 1
    if config.select == "validation":
        at = int((predicted[:, tests:] == context.store.label[spec.validation]).mean(1).argmax())
    save_predictions(
        folder,
        name=context.store.name[spec.test],
        logits=logits[at, :tests],
        epoch=int(files[at].stem.removeprefix("epoch_")),
        by_epoch=predicted[:, :tests].astype(np.int32),
        validation_name=context.store.name[spec.validation],
        validation_logits=logits[at, tests:],
    )
    if config.save:  # last, for it cannot be done twice
        folders.move(files[at].with_suffix(""), folder / CLASSIFIER)
    sweep(folder)


def sweep(folder: Path) -> None:
    """Remove what a finished training no longer needs."""
    for name in ("checkpoints", EVALUATIONS, FORMER):
        folders.remove(folder / name)
