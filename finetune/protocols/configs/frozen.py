"""Options of protocols that classify frozen features by few labels."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import Field

from finetune.protocols.configs.base import ProtocolConfig
from finetune.protocols.configs.budgets import BudgetsConfig
from ssl_skel.data.subsets import Budget


class DrawnConfig(ProtocolConfig):
    """Options of ``Drawn``."""

    draws: int = Field(10, ge=1)
    """How often labelled clips are drawn, with seeds from 0 on, the same for all encoders; figures are means over
    them."""

    @property
    @abstractmethod
    def budgets(self) -> tuple[Budget, ...]:
        """Label budgets, one per figure."""


class FewShotConfig(DrawnConfig):
    """Options of ``FewShot``."""

    name: Literal["fewshot"] = "fewshot"
    shots: tuple[Annotated[int, Field(ge=1)], ...] = Field((1,), min_length=1)
    """Exemplars per class. NTU 120's one-shot protocol has 1; STARS reports 1, 2 and 5."""

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """One per number of shots."""
        return tuple(Budget(per_class=number) for number in self.shots)


class ClassMeansConfig(BudgetsConfig, DrawnConfig):
    """Options of ``ClassMeans``."""

    name: Literal["ncm"] = "ncm"


class PropagateConfig(BudgetsConfig, DrawnConfig):
    """Options of ``Propagate``."""

    name: Literal["propagate"] = "propagate"
    neighbours: int = Field(10, ge=1)
    """Neighbours of each training clip in the graph, and of a test clip when it is classified. Iscen et al., CVPR 2019:
    50, on 50,000 images; here splits have about a thousand clips."""
    alpha: float = Field(0.95, gt=0, le=0.99)
    """How far labels reach (Zhou et al., NIPS 2003, and Iscen et al.: 0.99)."""
