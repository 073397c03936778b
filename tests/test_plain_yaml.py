"""YAML as plain data: numbers as version 1.2 reads them, and nothing that surprises or swells."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_skel import plain_yaml
from ssl_skel.errors import UserError
from ssl_skel.plain_yaml import dump_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("010", 10), ("0o10", 8), ("0x1F", 31), ("-7", -7), ("+7", 7), ("00", 0)],
        *[("1e3", 1000.0), ("1.", 1.0), (".5", 0.5), ("-1.5E-2", -0.015), (".inf", math.inf), ("-.INF", -math.inf)],
        *[("1:30", "1:30"), ("1_000", "1_000"), ("0b11", "0b11"), ("1e", "1e"), (".", "."), ("0o9", "0o9")],
        *[("yes", "yes"), ("No", "No"), ("on", "on"), ("true", True), ("FALSE", False), ("tRue", "tRue")],
        *[("", None), ("~", None), ("null", None), ("nULL", "nULL"), ("2001-02-30", "2001-02-30"), ("=", "=")],
        *[("2001-01-01", "2001-01-01"), ("!!str 5", "5"), ("!!float 5", 5.0), ("!!int '010'", 10), ("'5'", "5")],
        ("{a: &x {b: 1}, c: {<<: *x, d: 2}}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("{a: &x {b: 1}, c: {<<: *x, b: 2}}", {"a": {"b": 1}, "c": {"b": 2}}),
    ],
)
def test_scalars_are_those_of_the_core_schema(text: str, value: Any) -> None:
    found = read_yaml(text, "mine.yaml")
    assert found == value
    assert type(found) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(read_yaml(".nan", "mine.yaml"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "a: is given twice, in lines 1 and 3; keep one"),
        ("x:\n  a: 1\n  'a': 2\n", "a: is given twice, in lines 2 and 3; keep one"),
        ("{a: 1, b: {c: 1, c: 1}}", "c: is given twice, in line 1; keep one"),
        ("10: a\n010: b\n", "10: is given twice, in lines 1 and 2"),
        ("- {a: 1}\n- {a: 1, a: 2}", "a: is given twice, in line 2"),
        ("[" * 800 + "]" * 800, "more than 60 levels; keep it flat"),
        ("&a [*a]", "an alias within what it stands for"),
        ("!!timestamp x", "is not YAML: could not determine a constructor"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("!!float x", "is not YAML: could not convert"),
        ("!!bool maybe", "'maybe' is neither true nor false"),
        ("9" * 5000, "is not YAML: Exceeds the limit"),
        ("[1", "is not YAML"),
        (r'"\ud800"', "Unicode character escape code"),
        ("? [a]\n: 1", "is not YAML: while constructing a mapping"),
        ("a\0b", "is not YAML: unacceptable character"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(UserError) as told:
        read_yaml(text, "mine.yaml")
    assert str(told.value).startswith("mine.yaml: ")
    assert words in str(told.value)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


def test_aliases_may_repeat_but_not_swell() -> None:
    """Nine levels of nine aliases are 280 bytes and stand for 400 million values."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
    with pytest.raises(UserError, match="its aliases stand for more than 1,000,000 characters"):
        read_yaml(bomb, "mine.yaml")
    with pytest.raises(UserError, match="its aliases stand for more than"):
        read_yaml(f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 20)}]", "mine.yaml")
    chain = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 500))
    with pytest.raises(UserError, match="nest too deep"):
        read_yaml(chain, "mine.yaml")
    long = [f"name{i}" for i in range(5_000)]
    assert read_yaml(json.dumps(long), "mine.yaml") == long
    assert read_yaml("a: &a {lr: 1}\nb: [*a, *a, *a]", "mine.yaml")["b"] == [{"lr": 1}] * 3


NEAR_NUMBERS = st.from_regex(r"[0-9oxeE_.:+-]{1,6}", fullmatch=True)
DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.from_regex(r"[0-9oxeE_.:+-]{1,6}"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(value=DATA)
def test_what_is_written_is_read_back_by_both_versions(value: Any) -> None:
    text = dump_yaml(value)
    assert read_yaml(text, "mine.yaml") == value
    assert yaml.safe_load(text) == value


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="ab0189:.-_{}[]&*!,'\"\n #<?|>%@`~=+exo", max_size=40))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        value = read_yaml(text, "mine.yaml")
    except UserError as error:
        told = str(error)
    else:
        json.dumps(value)
        told = ""
    assert "\n" not in told


def test_without_libyaml_the_same_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(plain_yaml.__file__)
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    slow = runpy.run_path(str(source))["read_yaml"]
    texts = [file.read_text("utf-8") for file in sorted((source.parents[1] / "configs").rglob("*.yaml"))[::4]]
    for text in (*texts, "a: &x [1, 0o10]\nb: *x\n", '"\\u00e9 \\n"', "- |\n  two\n  lines\n- >-\n  one\n  line\n"):
        assert slow(text, "") == read_yaml(text, "")
    for text in ("[1", "a: 1\na: 2\n", "[" * 800 + "]" * 800):
        with pytest.raises(UserError):
            slow(text, "")
