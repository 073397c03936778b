"""One supervised training, from an encoder and labelled clips to predictions for other clips.

::

    <evaluation>/trainings/<name>_<fingerprint>/   a run directory; its checkpoints go when it is done
        evaluations/epoch_00010.npy                (clips, classes) logits, float32; see ``evaluations``
        predictions.npz                            written at the end: done
        classifier/                                with ``save``: see ``finetune.classifiers.saved``; part of done

A training is found again by its fingerprint, of everything that decides its outcome: repeating an evaluation skips
what is done, continues what was interrupted, and starts again where the outcome would differ.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list

from finetune.classifiers.linear import Classifier
from finetune.classifiers.names import CLASSIFIER
from finetune.protocols.base import EvalContext
from finetune.protocols.configs.training import TrainingConfig
from finetune.trainings.evaluations import EpochEvaluations, adopt_evaluations, conclude, sweep
from finetune.trainings.fingerprint import fingerprint
from finetune.trainings.index import TRAININGS
from finetune.trainings.layer_decay import layer_groups
from finetune.trainings.predictions import PREDICTIONS, Outcome, load_outcome
from finetune.trainings.spec import TrainingSpec
from ssl_skel.config import dump_config
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.data.loader import ClipLoader
from ssl_skel.encoders.encoder import SkeletonEncoder, fresh_like
from ssl_skel.training.loop import Loader, TrainConfig, fit
from ssl_skel.training.rundir import RunDir


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
) -> Outcome:
    """Train, or continue, or only read a finished training.

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
    accelerator, mark = context.accelerator, fingerprint(config, context, spec)
    folder = _find(context.folder / TRAININGS, spec.name, mark)
    done = (folder / PREDICTIONS).exists() and (not config.save or (folder / CLASSIFIER).is_dir())
    if not broadcast_object_list([done])[0]:
        if accelerator.is_main_process:
            adopt_evaluations(folder, config)
        accelerator.wait_for_everyone()
        run = _run_dir(folder, config, mark, accelerator.process_index)
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
            on_epoch=EpochEvaluations(config, context, spec, task, folder),
            groups=layer_groups(task, config.optim.weight_decay, config.layer_decay) if decayed else None,
        )
        if accelerator.is_main_process:
            conclude(config, context, spec, folder)
    elif accelerator.is_main_process:
        sweep(folder)  # what a kill at the end left
    accelerator.wait_for_everyone()
    return load_outcome(folder, spec.test)


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
    """This rank's share of shuffled, cropped (or sampled) and augmented clips, full batches only.

    Args:
        config: crops and augmentations.
        context: store and ranks.
        spec: what trains on them.
        rows: the clips.
        batch_size: clips per step over all ranks.
        seed: of order, crops and augmentation.
        options: further ones of ``ClipLoader``.
    """
    accelerator = context.accelerator
    return ClipLoader(
        context.store,
        rows,
        num_frames=spec.encoder.backbone.num_frames,
        batch_size=batch_size,
        sampling=config.sampling,
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


def _find(trainings: Path, name: str, mark: str) -> Path:
    """The folder of a training: the one it was started in, under whatever name, or a new one."""
    return next(trainings.glob(f"*_{mark[:12]}"), trainings / f"{name}_{mark[:12]}")


def _run_dir(folder: Path, config: TrainingConfig, mark: str, rank: int) -> RunDir:
    """Its run directory; an existing one is the same training if the fingerprint is the same."""
    text = dump_config(config.model_copy(update={"save": False})) + f"fingerprint: {mark}\n"
    return RunDir.create(folder, text, resume="auto", rank=rank, again="the same command continues")


def _trainable(config: TrainingConfig, encoder: SkeletonEncoder) -> SkeletonEncoder:
    """A copy, with the drop path that the training requests: an option of its network that holds no weights."""
    if config.drop_path is None:
        return copy.deepcopy(encoder)
    made = fresh_like(encoder, drop_path=config.drop_path)
    made.load_state_dict(encoder.state_dict())
    return made.to(next(encoder.parameters()).device)
