"""Options of retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from finetune.protocols.configs.base import ProtocolConfig


class RetrievalConfig(ProtocolConfig):
    """Options of ``Retrieval``."""

    name: Literal["retrieval"] = "retrieval"
    former: ClassVar[Mapping[str, str]] = {"copies": "duplicates"}

    duplicates: bool = False
    """Let training clips that equal a query, coordinate for coordinate, count as answers. They always rank first."""
