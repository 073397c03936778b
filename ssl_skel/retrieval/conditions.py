"""What rows of an index must meet, as a mask over records in memory or as SQL for a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes:
        text: what messages call it.
        alternatives: each says which numbers fields must have; a row meets one of them. None: no such condition.
        within: first frame and end, or None for the end of the recording, that a row's frames are between.
    """

    text: str
    alternatives: Sequence[Mapping[str, Sequence[int]]] | None = None
    within: tuple[int, int | None] | None = None

    def mask(self, rows: np.ndarray) -> np.ndarray:
        """(N,) bool of records."""
        holds = np.ones(len(rows), bool)
        if self.alternatives is not None:
            met = [
                np.logical_and.reduce([np.isin(rows[field], numbers) for field, numbers in one.items()])
                for one in self.alternatives
            ]
            holds &= np.logical_or.reduce(met) if met else False
        if self.within is not None:
            first, end = self.within
            holds &= rows["start"] >= first
            if end is not None:
                holds &= rows["start"] + rows["length"] <= end
        return holds

    def sql(self) -> str:
        """The same for a table whose columns are the fields; numbers only, so that nothing needs quotes."""
        parts = []
        if self.alternatives is not None:
            met = [" AND ".join(_among(field, numbers) for field, numbers in one.items()) for one in self.alternatives]
            parts.append(" OR ".join(f"({one})" for one in met) or "false")
        if self.within is not None:
            first, end = self.within
            parts.append(f"start >= {first}" + ("" if end is None else f" AND start + length <= {end}"))
        return " AND ".join(f"({part})" for part in parts)


def _among(field: str, numbers: Sequence[int]) -> str:
    return f"{field} IN ({', '.join(map(str, numbers))})" if len(numbers) else "false"
