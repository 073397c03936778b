"""JSON as plain data: no deeper than any file of this project needs, and nothing that cannot be written again."""

from __future__ import annotations

import json
import math
from typing import Any

_DEEPEST = 60  # brackets in brackets


def parse_json(text: str | bytes) -> Any:
    """Parse JSON into mappings, lists, text, numbers, true, false and null.

    >>> parse_json(b'{"clips": ["a", 1]}')
    {'clips': ['a', 1]}

    Args:
        text: one document; bytes are UTF-8.

    Raises:
        ValueError: it is not JSON, is nested deeper than 60 levels, or holds half a surrogate, NaN, or a number that no
            float can hold.
    """
    try:
        value = json.loads(text, parse_float=_number, parse_constant=_number)
    except RecursionError:
        raise ValueError(f"more than {_DEEPEST} levels") from None
    level = [value]
    for _ in range(_DEEPEST + 1):
        for text in level:
            if isinstance(text, str):
                text.encode()
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _inside(outer)]
        if not level:
            return value
    raise ValueError(f"more than {_DEEPEST} levels")


def _inside(value: dict[str, Any] | list[Any]) -> list[Any]:
    return value if isinstance(value, list) else [*value, *value.values()]


def _number(text: str) -> float:
    if math.isfinite(number := float(text)):
        return number
    raise ValueError(f"{text[:20]} is not a finite number")
