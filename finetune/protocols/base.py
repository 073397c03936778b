"""What every protocol is given, and what it has to provide."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from accelerate import Accelerator

from finetune.classifiers.linear import Classifier
from finetune.protocols.configs.base import ProtocolConfig
from finetune.trainings.index import Training
from ssl_skel.data.splits import Split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import Origin
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.evaluation.answers import Answers, Guess, measured
from ssl_skel.evaluation.baseline_names import RawBaseline
from ssl_skel.evaluation.measures import FigureName
from ssl_skel.evaluation.report import Measurement
from ssl_skel.layouts import SkeletonLayout

Value = TypeVar("Value")
ConfigT = TypeVar("ConfigT", bound=ProtocolConfig)


@dataclass(frozen=True, eq=False)
class EvalContext:
    """What is the same for all measurements of one evaluation.

    Attributes:
        store: holds the clips.
        splits: all that are measured.
        seeds: of what is random.
        accelerator: device, precision and processes.
        resident: whether the store moves to the device; see ``ClipLoader``.
        folder: of the evaluation; trainings have folders of their own in it.
        recorded: layout that the store's clips have on disk, where their joints were mapped to another.
        unlabelled: training clips without a label, by split; ``splits`` leave them out.
    """

    store: Store
    splits: tuple[Split, ...]
    seeds: tuple[int, ...]
    accelerator: Accelerator
    resident: str
    folder: Path
    recorded: SkeletonLayout | None = None
    unlabelled: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def mapped_from(self) -> SkeletonLayout | None:
        """Layout that the clips' joints were mapped from; None where they are as recorded."""
        return None if self.recorded in (None, self.store.layout) else self.recorded

    @property
    def autocast(self) -> torch.dtype | None:
        """Precision that features are computed in; None is float32."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.accelerator.mixed_precision)

    def tested(self, train: np.ndarray) -> np.ndarray:
        """Test rows of all splits with these training rows, ascending: one training serves them all."""
        same = [split.test for split in self.splits if np.array_equal(split.train, train)]
        return np.unique(np.concatenate(same))


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features to be measured.

    Attributes:
        name: an entry of ``BASELINES`` (``raw``, ``raw_box``, ...), ``untrained`` or ``pretrained``.
        features: (N, D) of all clips of the store, one array per seed.
        encoders: what made them, one per seed; none for raw coordinates.
        num_frames: T that clips are resampled to.
        origins: where each encoder's weights come from; None if they are fresh.
        raw: the baseline that made them without an encoder; None for encoders.
    """

    name: str
    features: tuple[np.ndarray, ...]
    encoders: tuple[SkeletonEncoder, ...] = ()
    num_frames: int = 0
    origins: tuple[Origin | None, ...] = ()
    raw: RawBaseline | None = None

    def pairs(self, seeds: Iterable[int]) -> list[tuple[int, int]]:
        """Number of an encoder and a seed: each with every seed, but an untrained encoder only with its own."""
        number = range(len(self.features))
        if self.name == "untrained":
            return list(zip(number, seeds, strict=True))
        return [(at, seed) for at in number for seed in seeds]


class Protocol(ABC, Generic[ConfigT]):
    """One way to measure. Construction is the same for all: ``PROTOCOLS[name](config, context)``.

    Attributes:
        Config: frozen options; its ``name`` is the key in ``PROTOCOLS``.
        trainings: those behind the figures so far, for protocols that keep the logits of their classifiers.
        answers: of the runs behind each figure so far.
    """

    Config: ClassVar[type[ProtocolConfig]]

    def __init__(self, config: ConfigT, context: EvalContext) -> None:
        self.config, self.context = config, context
        self.trainings: list[Training] = []
        self.answers: dict[FigureName, list[Answers]] = {}
        self._fitted: dict[Hashable, object] = {}

    def check(self, split: Split, encoder: SkeletonEncoder) -> None:
        """Refuse, before anything is measured, what this protocol cannot be used on.

        Args:
            split: to be measured.
            encoder: one of those to be measured on it; they differ in nothing but weights. It is left as it is.

        Raises:
            UserError: naming the option.
        """

    @property
    @abstractmethod
    def measures(self) -> tuple[str, ...]:
        """Names that reports give the figures of its config; they are unique within a report."""

    @classmethod
    def classifier(cls, config: ConfigT, encoder: SkeletonEncoder, num_classes: int) -> Classifier | None:
        """A classifier as this protocol trains it, with a fresh head on the encoder; None where it trains none."""
        return None

    @abstractmethod
    def measure(self, feature_set: FeatureSet, split: Split) -> list[Measurement]:
        """Figures of one feature set on one split. Labels of test clips serve to score, and nothing else."""

    def once(self, key: Hashable, fit: Callable[[], Value]) -> Value:
        """What ``fit`` gives, computed the first time only: splits such as xview and xview_dedup train alike.

        Args:
            key: everything that the fit depends on, besides this protocol's config.
            fit: computes it.
        """
        if key not in self._fitted:
            self._fitted[key] = fit()
        return self._fitted[key]  # type: ignore[return-value]

    def figure(self, split: str, features: str, measure: str, guesses: Sequence[Guess], **others: Any) -> Measurement:
        """Score what the runs behind a figure answered, and keep the answers.

        Args:
            split, features, measure: name of the figure.
            guesses: one per run.
            others: see ``Measurement.of``.
        """
        name = FigureName(split, features, measure)
        found, self.answers[name] = measured(self.context.store, name, guesses, **others)
        return found
