"""Which rows of an index a search is limited to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssl_skel.errors import UserError
from ssl_skel.names import unknown
from ssl_skel.retrieval.index import MotionIndex


@dataclass(frozen=True)
class Filter:
    """Conditions that a row must meet, all of them; several values of one condition are alternatives.

    Attributes:
        labels: class names.
        subjects, cameras: numbers.
        within: first frame and end, or None for the end of the recording; a clip or window must lie between them.
    """

    labels: Sequence[str] = ()
    subjects: Sequence[int] = ()
    cameras: Sequence[int] = ()
    within: tuple[int, int | None] | None = None

    def rows(self, index: MotionIndex) -> np.ndarray | None:
        """Rows of an index that meet the conditions, ascending int64; None where there is no condition.

        Raises:
            UserError: an unknown class, or no row meets them.
        """
        rows, masks = index.rows, {}
        if self.labels:
            numbers = [_label(index, name) for name in self.labels]
            masks[f"label {' or '.join(self.labels)}"] = np.isin(rows["label"], numbers)
        for field, wanted in (("subject", self.subjects), ("camera", self.cameras)):
            if wanted:
                masks[f"{field} {' or '.join(map(str, wanted))}"] = np.isin(rows[field], wanted)
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
