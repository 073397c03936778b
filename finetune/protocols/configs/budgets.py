"""How many labels a protocol may use."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from finetune.protocols.configs.base import ProtocolConfig
from ssl_skel.data.subsets import Budget


class BudgetsConfig(ProtocolConfig):
    """Shares of the labels, or numbers of them."""

    fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.01, 0.05, 0.1)
    """Shares of each class's labels; at least one clip per class is kept. MAMP: 1 and 10 %; CMD: 1, 5, 10, 20 %."""
    per_class: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Numbers of labels per class, besides the fractions."""

    @model_validator(mode="after")
    def _some_labels(self) -> BudgetsConfig:
        if not self.fractions and not self.per_class:
            raise ValueError("fractions: give a share of the labels, or per_class a number of them")
        return self

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """All that are requested, shares first."""
        shares = (Budget(fraction=share) for share in self.fractions)
        return (*shares, *(Budget(per_class=number) for number in self.per_class))
