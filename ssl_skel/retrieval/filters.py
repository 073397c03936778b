"""Which rows of an index a search is limited to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from ssl_skel.errors import UserError
from ssl_skel.names import unknown
from ssl_skel.retrieval.conditions import Condition
from ssl_skel.retrieval.index import MotionIndex, Rows


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

    def rows(self, index: MotionIndex) -> Rows | None:
        """Rows of an index that meet the conditions, ascending int64 or of a table; None where there is no condition.

        Raises:
            UserError: an unknown class, subject or camera, or no row meets them.
        """
        conditions = []
        if self.labels:
            numbers = [_label(index, name) for name in self.labels]
            conditions.append(Condition(f"label {' or '.join(self.labels)}", [{"label": numbers}]))
        for field, wanted in (("subject", self.subjects), ("camera", self.cameras)):
            if wanted:
                text = f"{field} {' or '.join(map(str, wanted))}"
                conditions.append(Condition(text, _any_of(index, field, wanted)))
        if self.within:
            first, end = self.within
            conditions.append(Condition(f"within {first}:{'' if end is None else end}", within=self.within))
        if not conditions:
            return None
        found = index.select(conditions)
        if not len(found):
            texts = ", ".join(one.text for one in conditions)
            raise UserError(f"{index.path}: none of its {len(index)} rows meets {texts}; filter less")
        return found


ALL_ROWS = Filter()
"""No condition."""


def _label(index: MotionIndex, name: str) -> int:
    if name in index.class_names:
        return index.class_names.index(name)
    raise unknown("", name, index.class_names, where="--label")


def _any_of(index: MotionIndex, field: str, wanted: Sequence[int | str]) -> list[dict[str, list[int]]]:
    """Rows with one of these values; each store has its own numbers for names."""
    named = [store.get("names", {}).get(field, {}) for store in index.meta["stores"]]
    for value in map(str, wanted):
        if not _is_number(value) and not any(value in names for names in named):
            raise unknown("", value, sorted({*chain(*named)}) or ["numbers only"], where=f"--{field}")
    alternatives = []
    for number, names in enumerate(named):
        values = [names.get(value, int(value) if _is_number(value) else None) for value in map(str, wanted)]
        alternatives.append({"store": [number], field: [value for value in values if value is not None]})
    return alternatives


def _is_number(value: str) -> bool:
    return re.fullmatch("-?[0-9]{1,18}", value) is not None
