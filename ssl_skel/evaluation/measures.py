"""Names of measures and figures in reports, of any release."""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

_FORMER = (
    (r"\blinear, closed\b", "linear, cached"),
    (r"\blinear, live\b", "linear, trained"),
    (r", 1 copy(?=,|$)", ", 1 augmented view"),
    (r", (\d+) copies(?=,|$)", r", \1 augmented views"),
    (r"\b(\d+) a class\b", r"\1-shot"),
    (r"^retrieval, copies among", "retrieval, duplicates among"),
)
"""Pattern in release 0.1's names of measures -> its replacement."""


def present_measure(name: Any) -> Any:
    """The present name of a measure, which a report of release 0.1 may call something else.

    >>> present_measure("linear, closed, 2 copies")
    'linear, cached, 2 augmented views'
    """
    if isinstance(name, str):
        for pattern, present in _FORMER:
            name = re.sub(pattern, present, name)
    return name


MeasureName = Annotated[str, BeforeValidator(present_measure)]
"""Name of a measure in a report, such as ``kNN, k = 1``."""


class FigureName(NamedTuple):
    """What identifies a figure in a report."""

    split: str
    features: str
    measure: str
