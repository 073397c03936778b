"""Options of few-shot recognition."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from finetune.protocols.configs.base import ProtocolConfig


class FewShotConfig(ProtocolConfig):
    """Options of ``FewShot``."""

    name: Literal["fewshot"] = "fewshot"
    shots: tuple[Annotated[int, Field(ge=1)], ...] = Field((1,), min_length=1)
    """Exemplars a class. NTU 120's one-shot protocol has 1; STARS reports 1, 2 and 5."""
    draws: int = Field(10, ge=1)
    """How often exemplars are drawn, with seeds from 0 on, the same for all; figures are means over them."""
