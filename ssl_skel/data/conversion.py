"""The options recordings were converted with. They hold for other recordings of their format too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import Field

from ssl_skel.config import Section
from ssl_skel.data.normalize import RecordedNormalization
from ssl_skel.data.repair import RepairConfig
from ssl_skel.errors import UserError


class Unfit(UserError):
    """A format reads the path, but not as an encoder needs its clips."""


class Conversion(Section):
    """How recordings of one format became clips; part of a store's provenance, an encoder's card and an index."""

    format: str
    """Entry of ``READERS``."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options given to the reader, without those that describe only one source's clips."""
    layout: dict[str, Any] | None = None
    """Layout that recordings were brought to, where one was given; None: their own."""
    rate: float = 0.0
    """Frames a second that clips were brought to; 0: they were left as they are."""
    repairs: RepairConfig = RepairConfig()
    """What was repaired."""
    normalization: RecordedNormalization = None
    """In a merged store: what was done to clips before their joints were mapped to its layout; None: not merged."""


def conversion_of(format: str, conversions: Sequence[Conversion], given: Collection[str]) -> Conversion:
    """How to convert recordings of a format, from how others of that format were converted.

    An encoder whose training store was merged knows clips from other layouts, and so takes any format.

    Args:
        format: entry of ``READERS``.
        conversions: of an encoder's training clips, or of an index.
        given: options that are given again, whatever they were before.

    Raises:
        Unfit: several conversions of the format differ in an option that is not given.
    """
    own = [one for one in conversions if one.format == format]
    if not own:
        before = next((one.normalization for one in conversions if one.normalization), None)
        return Conversion(format=format, normalization=before)
    first = own[0]
    for name in sorted({name for one in own for name in one.options} - set(given)):
        values = list(dict.fromkeys(str(one.options.get(name, "default")) for one in own))
        if len(values) > 1:
            raise Unfit(f"{format}: {name}: recordings were converted with {' and '.join(values)}; give {name}=...")
    alike = all(one.layout == first.layout for one in own)
    return first if alike else first.model_copy(update={"layout": None})


def joined(*groups: Sequence[Conversion]) -> tuple[Conversion, ...]:
    """Conversions of several sources, each once, in order."""
    found: list[Conversion] = []
    for group in groups:
        found += [one for one in group if one not in found]
    return tuple(found)
