"""Options of nearest neighbours."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from finetune.protocols.configs.base import ProtocolConfig


class KnnConfig(ProtocolConfig):
    """Options of ``Knn``."""

    name: Literal["knn"] = "knn"
    ks: tuple[Annotated[int, Field(ge=1)], ...] = Field((1, 5, 10, 20), min_length=1)
    """Numbers of neighbours. Papers of this field report k = 1 (CMD, HiCo, PCM3); DINO looks at 10 to 200."""
