"""Ways to measure features on a split; a new one is one class and one row of ``PROTOCOLS``."""

from __future__ import annotations

import copy
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from accelerate import Accelerator
from pydantic import Field

from finetune.classifier import Classifier
from ssl_skel.augment import AUGMENTATIONS, Augment, RotateConfig
from ssl_skel.backbones import SkeletonEncoder
from ssl_skel.config import RowConfig, RowOf, dump_config
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.splits import Split
from ssl_skel.data.store import Store
from ssl_skel.evaluation.knn import Metric, knn_predict
from ssl_skel.evaluation.linear import linear_probe
from ssl_skel.evaluation.metrics import Scores, score
from ssl_skel.evaluation.report import Figure, Measurement
from ssl_skel.training.loop import TrainConfig, fit
from ssl_skel.training.optim import OptimConfig
from ssl_skel.training.rundir import RunDir


@dataclass(frozen=True, eq=False)
class Setting:
    """What is the same for all measurements of one evaluation.

    Attributes:
        store: where the clips lie.
        seeds: of what is random.
        accelerator: device, precision and processes.
        resident: whether the store moves to the device; see ``ClipLoader``.
        folder: where logs of training go.
    """

    store: Store
    seeds: tuple[int, ...]
    accelerator: Accelerator
    resident: str
    folder: Path


@dataclass(frozen=True, eq=False)
class Candidate:
    """Features to be measured.

    Attributes:
        name: ``raw``, ``untrained`` or ``pretrained``.
        features: (N, D) of all clips of the store, once a seed.
        encoders: what made them, once a seed; none for raw coordinates.
        num_frames: T of the encoders.
    """

    name: str
    features: tuple[np.ndarray, ...]
    encoders: tuple[SkeletonEncoder, ...] = ()
    num_frames: int = 0


class Protocol(ABC):
    """One way to measure. Construction is the same for all: ``Row(config, setting)``.

    Attributes:
        Config: frozen options; its ``name`` is the row in ``PROTOCOLS``.
    """

    Config: ClassVar[type[RowConfig]]

    def __init__(self, config: RowConfig, setting: Setting) -> None:
        self.config, self.setting = config, setting

    @abstractmethod
    def measure(self, candidate: Candidate, split: Split) -> list[Measurement]:
        """Figures of one candidate on one split. Labels of test clips serve to score, and nothing else."""

    def score(self, split: Split, predicted: np.ndarray, scores: np.ndarray | None = None) -> Scores:
        """Compare predictions of the test clips, (Q,) or (Q, classes), with the truth."""
        store = self.setting.store
        return score(store.label[split.test], predicted, store.num_classes, scores)


class KnnConfig(RowConfig):
    """Options of ``Knn``."""

    name: Literal["knn"] = "knn"
    ks: tuple[Annotated[int, Field(ge=1)], ...] = Field((1, 5, 10, 20), min_length=1)
    """Numbers of neighbours. Papers of this field report k = 1 (CMD, HiCo, PCM3); DINO looks at 10 to 200."""


class Knn(Protocol):
    """Cosine nearest neighbours; see ``ssl_skel.evaluation.knn`` for ties and normalisation.

    Raw coordinates are measured by Euclidean distance too: it is what their published figures use.
    """

    Config = KnnConfig
    config: KnnConfig

    def measure(self, candidate: Candidate, split: Split) -> list[Measurement]:
        ways: dict[str, Metric] = {candidate.name: "cosine"}
        if candidate.name == "raw":
            ways["raw (Euclidean)"] = "euclidean"
        label = self.setting.store.label[split.train]
        found = []
        for name, metric in ways.items():
            votes = [
                knn_predict(x[split.train], label, x[split.test], self.config.ks, metric) for x in candidate.features
            ]
            for k in self.config.ks:
                runs = [self.score(split, vote[k]) for vote in votes]
                notes = (f"k = {k} is more than the training clips: all {len(label)} vote",) if k > len(label) else ()
                found.append(Measurement.of(split.name, name, f"kNN, k = {k}", runs, notes=notes))
        return found


class LinearConfig(RowConfig):
    """Options of ``Linear``. Those of the live probe are MAMP's (Mao et al., ICCV 2023)."""

    name: Literal["linear"] = "linear"
    mode: Literal["closed", "live", "both"] = "closed"
    """closed: logistic regression on cached features, seconds. live: BatchNorm + linear layer trained with
    augmentation through the frozen encoder, as papers do; as long as training an encoder forwards."""
    c: float | None = Field(None, gt=0)
    """Closed: inverse L2 strength; null chooses it on held-out training subjects."""
    epochs: int = Field(100, ge=1)
    """Live: the last one is reported."""
    batch_size: int = Field(128, ge=2)
    """Live: clips a step. MAMP: 128 on each of 2 GPUs."""
    lr: float = Field(0.1, gt=0)
    """Live: SGD, cosine to 0, no warm-up."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Live: of SGD."""
    crop: tuple[float, float] = (0.5, 1.0)
    """Live: smallest and largest share of a training clip that is cropped."""
    augment: tuple[Annotated[RowConfig, RowOf(AUGMENTATIONS)], ...] = (RotateConfig(),)
    """Live: rows of ``AUGMENTATIONS``; MAMP rotates by up to 0.3 rad."""


class Linear(Protocol):
    """Linear probe on frozen features.

    Departs from print: the last epoch is the figure; papers take the best epoch on the test clips, which
    is stated beside it under that name. SGD is Nesterov's, the only one of this house.
    """

    Config = LinearConfig
    config: LinearConfig

    def measure(self, candidate: Candidate, split: Split) -> list[Measurement]:
        found = []
        if self.config.mode != "live" or not candidate.encoders:
            found.append(self._closed(candidate, split))
        if self.config.mode != "closed" and candidate.encoders:
            found.append(self._live(candidate, split))
        return found

    def _closed(self, candidate: Candidate, split: Split) -> Measurement:
        store = self.setting.store
        subject = store.subject[split.train]
        probes = [
            linear_probe(
                x[split.train],
                store.label[split.train],
                x[split.test],
                num_classes=store.num_classes,
                groups=subject if (subject >= 0).all() else None,
                c=self.config.c,
            )
            for x in candidate.features
        ]
        runs = [self.score(split, probe.predicted, probe.scores) for probe in probes]
        notes = tuple(dict.fromkeys(note for probe in probes for note in probe.notes))
        return Measurement.of(split.name, candidate.name, "linear, closed", runs, notes=notes)

    def _live(self, candidate: Candidate, split: Split) -> Measurement:
        """Every encoder with every seed; an untrained encoder only with its own."""
        number = range(len(candidate.encoders))
        pairs = [(at, seed) for at in number for seed in self.setting.seeds]
        if candidate.name == "untrained":
            pairs = list(zip(number, self.setting.seeds, strict=True))
        probes = [self._train(candidate, at, seed, split) for at, seed in pairs]
        return Measurement.of(
            split.name,
            candidate.name,
            "linear, live",
            [last for last, _ in probes],
            figures={"best_on_test": Figure.of([best for _, best in probes])},
        )

    def _train(self, candidate: Candidate, at: int, seed: int, split: Split) -> tuple[Scores, float]:
        """Scores of the last epoch, and the best accuracy of any."""
        config, setting, accelerator = self.config, self.setting, self.setting.accelerator
        train = TrainConfig(
            epochs=config.epochs,
            batch_size=config.batch_size,
            eval_every=1,
            checkpoint_every=0,
            checkpoint_minutes=60.0,
        )
        optim = OptimConfig(name="sgd", lr=config.lr, momentum=config.momentum, weight_decay=0.0)
        loader = ClipLoader(
            setting.store,
            split.train,
            num_frames=candidate.num_frames,
            batch_size=train.loader_batch(accelerator.num_processes),
            crop=config.crop,
            shuffle=True,
            drop_last=True,
            augment=Augment(config.augment, setting.store.layout),
            seed=seed,
            device=accelerator.device,
            resident=setting.resident,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            task = Classifier(copy.deepcopy(candidate.encoders[at]), setting.store.num_classes, frozen=True)
        task.to(accelerator.device)
        test = torch.from_numpy(candidate.features[at][split.test]).to(accelerator.device)
        best = 0.0

        def logits() -> np.ndarray:
            with torch.inference_mode():
                return task.eval().head(test).double().cpu().numpy()

        def watch(_: int) -> dict[str, float]:
            nonlocal best
            accuracy = self.score(split, logits().argmax(1)).accuracy
            best = max(best, accuracy)
            return {"test_accuracy": accuracy}

        run = RunDir.create(
            setting.folder / f"{split.name}_{candidate.name}{at}_seed{seed}",
            dump_config(config),
            rank=accelerator.process_index,
        )
        fit(task, loader, optim, train, accelerator=accelerator, run=run, seed=seed, on_epoch=watch)
        if accelerator.is_main_process:
            shutil.rmtree(run.checkpoints)  # a probe is measured, not kept
        last = logits()
        return self.score(split, last.argmax(1), last), best


PROTOCOLS: dict[str, type[Protocol]] = {"knn": Knn, "linear": Linear}
