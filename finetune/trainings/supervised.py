"""One supervised training, from an encoder and labelled clips to what it says of other clips.

::

    <evaluation>/trainings/<name>_<fingerprint>/   a run directory; its checkpoints go when it is done
        looks/epoch_00010.npy                      (clips, classes) logits, float32
        predictions.npz                            written at the end: done
        classifier/                                with ``save``: see ``finetune.classifiers.saved``; part of done

A training is found again by its fingerprint, of everything that decides its outcome: repeating an evaluation skips
what is done, continues what was interrupted, and begins anew what would come out otherwise.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from accelerate.utils import broadcast_object_list

from finetune.classifiers.linear import Classifier
from finetune.classifiers.saved import CLASSIFIER, save_classifier
from finetune.protocols.base import EvalContext
from finetune.protocols.configs.training import TrainingConfig
from finetune.trainings.index import PREDICTIONS, TRAININGS, save_predictions
from finetune.trainings.layer_decay import layer_groups
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.data.loader import ClipLoader
from ssl_skel.embedding.features import whole_clips
from ssl_skel.encoders.card import EncoderCard, Origin, TrainingData
from ssl_skel.encoders.encoder import SkeletonEncoder, fresh_like
from ssl_skel.files import folders
from ssl_skel.files.atomic import replacing
from ssl_skel.training.loop import Loader, TrainConfig, fit
from ssl_skel.training.rundir import RunDir


@dataclass(frozen=True, eq=False)
class TrainingSpec:
    """What one training is given.

    Attributes:
        name: of its folder, ahead of the fingerprint.
        encoder: its weights are copied, not changed.
        train, validation, test: rows of the store: trained on, the epoch chosen by, predicted.
        seed: of the head's weights, the order of clips, crops and augmentation.
        pretrained: whether layer decay applies.
        unlabelled: rows that are trained on without their labels.
        data: of the card of a saved classifier, as in ``EncoderCard``.
        origin: of the encoder's weights.
    """

    name: str
    encoder: SkeletonEncoder
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    seed: int
    pretrained: bool
    unlabelled: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    data: TrainingData | None = None
    origin: Origin | None = None


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a trained classifier says of the clips it was asked about.

    Attributes:
        folder: name of the training's folder.
        rows: (Q,) int64 rows of the store, ascending.
        logits: (Q, classes) float32, of the epoch reported.
        epoch: that epoch, counted from 1.
        watched: (looks, Q) int64 classes, of each epoch that was looked at.
    """

    folder: str
    rows: np.ndarray
    logits: np.ndarray
    epoch: int
    watched: np.ndarray

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits and watched classes of some of the rows, in their order."""
        at = np.searchsorted(self.rows, rows)
        return self.logits[at], self.watched[:, at]


def train_config(config: TrainingConfig) -> TrainConfig:
    """The loop's options; device and precision are the evaluation's."""
    return TrainConfig(
        epochs=config.epochs,
        batch_size=config.batch_size,
        eval_every=config.eval_every,
        checkpoint_every=0,
        checkpoint_minutes=5.0,
        keep=1,
    )


def train_classifier(
    config: TrainingConfig,
    context: EvalContext,
    spec: TrainingSpec,
    make_task: Callable[[SkeletonEncoder], Classifier],
    make_loader: Callable[[TrainingSpec], Loader],
) -> Predictions:
    """Train, or continue, or only read what was done before.

    Labels of ``spec.test`` are logged as accuracy and decide nothing.

    Args:
        config: its options are the training's.
        context: the evaluation.
        spec: the clips.
        make_task: puts fresh heads on an encoder, which becomes part of the task.
        make_loader: this rank's batches. What either makes must follow from ``config``, ``context`` and ``spec``.

    Raises:
        UserError: as ``fit``.
        Interrupted: as ``fit``; repeating the evaluation continues.
    """
    accelerator = context.accelerator
    mark = fingerprint(config, context, spec)
    folder = context.folder / TRAININGS / f"{spec.name}_{mark[:12]}"
    done = folder / PREDICTIONS
    finished = done.exists() and (not config.save or (folder / CLASSIFIER).is_dir())
    if not broadcast_object_list([finished])[0]:
        text = _recipe(config) + f"fingerprint: {mark}\n"
        if accelerator.is_main_process and config.save and config.select == "heldout":
            _forget_unsaved(folder)
        accelerator.wait_for_everyone()
        run = RunDir.create(
            folder, text, resume="auto", rank=accelerator.process_index, again="the same command continues"
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.seed)
            task = make_task(_trainable(config, spec.encoder))
        decayed = spec.pretrained and config.layer_decay < 1
        fit(
            task,
            make_loader(spec),
            config.optim,
            train_config(config),
            accelerator=accelerator,
            run=run,
            seed=spec.seed,
            resume=True,
            on_epoch=_looker(config, task, context, spec, folder / "looks"),
            groups=layer_groups(task, config.optim.weight_decay, config.layer_decay) if decayed else None,
        )
        if accelerator.is_main_process:
            _conclude(config, context, spec, folder)
    accelerator.wait_for_everyone()
    with np.load(done, allow_pickle=False) as data:
        return Predictions(folder.name, spec.test, data["logits"], int(data["epoch"]), data["watched"].astype(np.int64))


def _trainable(config: TrainingConfig, encoder: SkeletonEncoder) -> SkeletonEncoder:
    """A copy, with the drop path that the training asks for: an option of its network that holds no weights."""
    if config.drop_path is None:
        return copy.deepcopy(encoder)
    made = fresh_like(encoder, drop_path=config.drop_path)
    made.load_state_dict(encoder.state_dict())
    made.readout = encoder.readout
    return made.to(next(encoder.parameters()).device)


def fingerprint(config: TrainingConfig, context: EvalContext, spec: TrainingSpec) -> str:
    """sha256 of all that decides the outcome: recipe, store, clips and labels, weights, seed, precision."""
    store, digest = context.store, hashlib.sha256()
    parts = [_recipe(config), store.sha256, store.num_classes, spec.seed, spec.pretrained]
    parts += [context.accelerator.mixed_precision, spec.encoder.readout, spec.encoder.stream]
    for rows in (spec.train, spec.validation, spec.test):
        parts += [store.name[rows].tolist(), store.label[rows].tolist() if rows is not spec.test else ""]
    if context.mapped_from:
        parts.append(context.store.layout.to_dict())
    if len(spec.unlabelled):
        parts.append(store.name[spec.unlabelled].tolist())
    digest.update(repr(parts).encode())
    for name, tensor in sorted(spec.encoder.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def training_clips(
    config: TrainingConfig,
    context: EvalContext,
    spec: TrainingSpec,
    rows: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    **options: Any,
) -> ClipLoader:
    """This rank's share of shuffled, cropped and augmented clips, full batches only.

    Args:
        config: crops and augmentations.
        context: store and ranks.
        spec: what trains on them.
        rows: the clips.
        batch_size: clips a step over all ranks.
        seed: of order, crops and augmentation.
        options: further ones of ``ClipLoader``.
    """
    accelerator = context.accelerator
    return ClipLoader(
        context.store,
        rows,
        num_frames=spec.encoder.backbone.num_frames,
        batch_size=batch_size,
        crop=config.crop,
        shuffle=True,
        drop_last=True,
        augment=Augment(config.augment, context.store.layout),
        seed=seed,
        device=accelerator.device,
        resident=context.resident,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        **options,
    )


def _recipe(config: TrainingConfig) -> str:
    """The options that decide what comes out; whether weights are kept does not."""
    told = config.model_dump(mode="json", exclude={"save"})
    for option, usual in (("head", {"name": "linear"}), ("drop_path", None)):
        if told.get(option, ()) == usual:
            del told[option]  # trainings that are older than the choice are found again
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True)


def _forget_unsaved(folder: Path) -> None:
    """Begin anew what was begun without keeping weights: an epoch whose weights are gone might be chosen."""
    if any(not look.with_suffix("").is_dir() for look in (folder / "looks").glob("epoch_*.npy")):
        shutil.rmtree(folder)


def _looker(
    config: TrainingConfig, task: Classifier, context: EvalContext, spec: TrainingSpec, folder: Path
) -> Callable[[int], dict[str, float]]:
    """Keeps the logits of an epoch on disk, and the weights where asked, so that a continued training has them."""
    rows = np.concatenate([spec.test, spec.validation])
    loader = whole_clips(
        context.store,
        rows,
        num_frames=spec.encoder.backbone.num_frames,
        device=context.accelerator.device,
        resident=context.resident,
    )
    label = context.store.label[rows]

    def look(epoch: int) -> dict[str, float]:
        task.eval()
        with torch.inference_mode(), context.accelerator.autocast():
            parts = [task.logits(batch).float().cpu().numpy() for batch in loader.epoch()]
        logits = np.concatenate(parts)
        with replacing(folder / f"epoch_{epoch:05d}.npy") as file:
            np.save(file, logits)
        if config.save and (config.select == "heldout" or epoch == config.epochs):
            card = EncoderCard.of(
                task.encoder,
                normalization=context.store.normalization,
                data=spec.data,
                init=spec.origin,
                seed=spec.seed,
            )
            names, layout = context.store.class_names, context.mapped_from
            save_classifier(folder / f"epoch_{epoch:05d}", task, config, names, card, layout)
        right = logits.argmax(1) == label
        found = {"test_accuracy": float(right[: len(spec.test)].mean())}
        return found | ({"heldout_accuracy": float(right[len(spec.test) :].mean())} if len(spec.validation) else {})

    return look


def _conclude(config: TrainingConfig, context: EvalContext, spec: TrainingSpec, folder: Path) -> None:
    """Choose the epoch, write what it says (with its weights where asked), and drop checkpoints and looks."""
    files = sorted((folder / "looks").glob("epoch_*.npy"))
    looks = np.stack([np.load(file, allow_pickle=False) for file in files])  # (looks, test + validation, classes)
    watched = looks.argmax(2)
    at = len(files) - 1
    if config.select == "heldout":
        at = int((watched[:, len(spec.test) :] == context.store.label[spec.validation]).mean(1).argmax())
    save_predictions(
        folder,
        name=context.store.name[spec.test],
        logits=looks[at, : len(spec.test)],
        epoch=int(files[at].stem.removeprefix("epoch_")),
        watched=watched[:, : len(spec.test)].astype(np.int32),
        held_name=context.store.name[spec.validation],
        held_logits=looks[at, len(spec.test) :],
    )
    if config.save:  # last, for it cannot be done twice
        folders.move(files[at].with_suffix(""), folder / CLASSIFIER)
    shutil.rmtree(folder / "checkpoints")
    shutil.rmtree(folder / "looks")
