"""Options of retrieval."""

from __future__ import annotations

from typing import Literal

from finetune.protocols.configs.base import ProtocolConfig


class RetrievalConfig(ProtocolConfig):
    """Options of ``Retrieval``."""

    name: Literal["retrieval"] = "retrieval"
    copies: bool = False
    """Let training clips that equal a query, coordinate for coordinate, count as answers. They always lie first."""
