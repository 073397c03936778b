"""JSON from files: plain data, or a ValueError."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_skel.plain_json import parse_json

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@given(value=_PLAIN)
def test_plain_data_comes_back(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1",
        b"\xff",
        "[" * 100_000,
        "[" * 62 + "]" * 62,
        '{"a":' * 100_000,
        r'["\ud800"]',
        r'{"\ud800": 1}',
        "9" * 5000,
        "[1e999]",
        "-Infinity",
        "[NaN]",
    ],
)
def test_what_cannot_be_kept_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
        parse_json(text)


def test_sixty_levels_are_read() -> None:
    text = "[" * 60 + "1" + "]" * 60
    assert json.dumps(parse_json(text)) == text
