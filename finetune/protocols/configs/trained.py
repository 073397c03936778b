"""Options of fine-tuning: with all labels, or with few."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from finetune.classifiers.config import HeadConfig, LinearHeadConfig
from finetune.protocols.configs.budgets import BudgetsConfig
from finetune.protocols.configs.training import TrainingConfig


class HeadedConfig(TrainingConfig):
    """A training whose head can be chosen."""

    head: Annotated[HeadConfig, Field(discriminator="name")] = LinearHeadConfig()
    """``linear``; ``mlp``: MAMP's, see ``MLPClassifier``; or ``bottleneck``: InfoGCN's information bottleneck, see
    ``BottleneckClassifier``."""


class FullConfig(HeadedConfig):
    """Options of ``Full``."""

    name: Literal["full"] = "full"


class FewLabelsConfig(BudgetsConfig, TrainingConfig):
    """Options of ``FewLabels``."""


class SemiConfig(FewLabelsConfig, HeadedConfig):
    """Options of ``Semi``."""

    name: Literal["semi"] = "semi"
