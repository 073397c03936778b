"""Which rows of an index a search is limited to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from ssl_skel.errors import UserError
from ssl_skel.names import unknown
from ssl_skel.retrieval.index import MotionIndex


@dataclass(frozen=True)
class Filter:
    """Conditions that a row must meet, all of them; several values of one condition are alternatives.

    Attributes:
        labels: class names.
        subjects, cameras: numbers, or names where the recordings had names; a name takes precedence over a number.
        within: first frame and end, or None for the end of the recording; a clip or window must be between them.
    """

    labels: Sequence[str] = ()
    subjects: Sequence[int | str] = ()
    cameras: Sequence[int | str] = ()
    within: tuple[int, int | None] | None = None

    def rows(self, index: MotionIndex) -> np.ndarray | None:
        """Rows of an index that meet the conditions, ascending int64; None where there is no condition.

        Raises:
            UserError: an unknown class, subject or camera, or no row meets them.
        """
        rows, masks = index.rows, {}
        if self.labels:
            numbers = [_label(index, name) for name in self.labels]
            masks[f"label {' or '.join(self.labels)}"] = np.isin(rows["label"], numbers)
        for field, wanted in (("subject", self.subjects), ("camera", self.cameras)):
            if wanted:
                masks[f"{field} {' or '.join(map(str, wanted))}"] = _any_of(index, field, wanted)
        if self.within:
            first, end = self.within
            inside = rows["start"] >= first
            if end is not None:
                inside &= rows["start"] + rows["length"] <= end
            masks[f"within {first}:{'' if end is None else end}"] = inside
        if not masks:
            return None
        found = np.flatnonzero(np.logical_and.reduce([*masks.values()]))
        if not len(found):
            raise UserError(f"{index.path}: none of its {len(index)} rows meets {', '.join(masks)}; filter less")
        return found


ALL_ROWS = Filter()
"""No condition."""


def _label(index: MotionIndex, name: str) -> int:
    if name in index.class_names:
        return index.class_names.index(name)
    raise unknown("", name, index.class_names, where="--label")


def _any_of(index: MotionIndex, field: str, wanted: Sequence[int | str]) -> np.ndarray:
    """(N,) bool: rows with one of these values; each store has its own numbers for names."""
    named = [store.get("names", {}).get(field, {}) for store in index.meta["stores"]]
    for value in map(str, wanted):
        if not value.lstrip("-").isdigit() and not any(value in names for names in named):
            raise unknown("", value, sorted({*chain(*named)}) or ["numbers only"], where=f"--{field}")
    hold, numbers = np.zeros(len(index), bool), np.unique(index.rows[field]).tolist()
    for number, names in enumerate(named):
        known = names | {str(value): value for value in numbers if str(value) not in names}
        values = [known[value] for value in map(str, wanted) if value in known]
        hold |= (index.rows["store"] == number) & np.isin(index.rows[field], values)
    return hold
