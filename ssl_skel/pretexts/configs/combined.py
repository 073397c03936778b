"""Options of Combined."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ssl_skel.config import EntryConfig, EntryOf, Section
from ssl_skel.pretexts.table import SINGLE


class Part(Section):
    """One pretext of a combination."""

    pretext: Annotated[EntryConfig, EntryOf(SINGLE)]
    """An entry of ``PRETEXTS``, but not a combination."""
    weight: Annotated[float, Field(gt=0.0)] = 1.0
    """Weight of its loss in the sum."""


class CombinedConfig(EntryConfig):
    """Options of ``Combined``."""

    name: Literal["combined"] = "combined"
    parts: tuple[Part, ...] = Field(min_length=2)
    """The pretexts to combine, each once."""
    share: bool = True
    """If one part needs a draw with something hidden and another the same draw whole, both use the hidden one: one pass
    through the backbone less, and a harder view for the other."""

    @model_validator(mode="after")
    def _check(self) -> CombinedConfig:
        names = [part.pretext.name for part in self.parts]
        if len(set(names)) != len(names):
            raise ValueError(f"parts {names}: name each pretext once")
        return self
