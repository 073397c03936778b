"""Options of fine-tuning: with all labels, or with few."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finetune.classifiers.config import BottleneckConfig, LinearHeadConfig
from finetune.protocols.configs.training import TrainingConfig


class HeadedConfig(TrainingConfig):
    """A training whose head can be chosen."""

    head: Annotated[LinearHeadConfig | BottleneckConfig, Field(discriminator="name")] = LinearHeadConfig()
    """``linear``, or ``bottleneck``: InfoGCN's information bottleneck, see ``BottleneckClassifier``."""


class FullConfig(HeadedConfig):
    """Options of ``Full``."""

    name: Literal["full"] = "full"


class FewLabelsConfig(TrainingConfig):
    """Options of ``FewLabels``."""

    fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.01, 0.05, 0.1)
    """Shares of each class's labels; at least one clip a class is kept. MAMP: 1 and 10 %; CMD: 1, 5, 10, 20 %."""
    per_class: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Numbers of labels a class, beside the fractions."""

    @model_validator(mode="after")
    def _some_labels(self) -> FewLabelsConfig:
        if not self.fractions and not self.per_class:
            raise ValueError("fractions: give a share of the labels, or per_class a number of them")
        return self


class SemiConfig(FewLabelsConfig, HeadedConfig):
    """Options of ``Semi``."""

    name: Literal["semi"] = "semi"
