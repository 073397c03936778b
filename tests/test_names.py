"""The one "did you mean", and the one rule for names that become paths."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ssl_skel.config import RunName
from ssl_skel.errors import UserError
from ssl_skel.names import check_path_name, nearest, unknown


@pytest.mark.parametrize(
    ("word", "known", "end"),
    [
        ("xveiw", ["xsub", "xview"], "; did you mean 'xview'?"),
        ("test", ["xsub", "xview", "xsub"], "; known: xsub, xview"),
        ("test", [], ""),
        (None, ["two"], "; known: two"),
        (12, range(40), "; did you mean '12'?"),
        ("x", range(40), f"; known: {', '.join(map(str, range(40)))}"),
        ("x", range(41), "; known: 0, 1, 2, 3, 4, ... (41 in all)"),
    ],
)
def test_the_nearest_name_or_all_of_a_short_list(word: object, known: list[object], end: str) -> None:
    assert nearest(word, known) == end


def test_a_mistake_names_place_kind_and_word() -> None:
    assert str(unknown("split", "xveiw", ["xview"], where="ntu60")) == (
        "ntu60: unknown split 'xveiw'; did you mean 'xview'?"
    )
    assert str(unknown("", "tree", ["flat"], where="--kind")) == "--kind: unknown 'tree'; known: flat"
    assert str(unknown("format", "x", [])) == "unknown format 'x'"


@pytest.mark.parametrize("name", ["xview", "5-fold+a.b", "Übung", "one class", "_", "x" * 150])
def test_sound_names_become_paths(name: str) -> None:
    check_path_name(name)


def refusal(name: str) -> str:
    """What is said against a name; empty where it passes."""
    try:
        check_path_name(name, "here")
    except UserError as error:
        return str(error)
    return ""


@settings(max_examples=300, deadline=None)
@given(name=st.one_of(st.text(max_size=20), st.from_regex(r"[\w./\\: \n-]{1,8}", fullmatch=True)))
def test_a_name_that_passes_stays_in_its_folder(name: str) -> None:
    """On every system: one part, not hidden, printable, and the rule of runs is the same."""
    told = refusal(name)
    if told:
        assert told.isprintable()
        assert len(told) < 250
    else:
        assert PurePosixPath("a", name).parts == PureWindowsPath("a", name).parts == ("a", name)
        assert name.isprintable()
        assert not name.startswith((".", " "))
        assert not name.endswith(" ")
        name.encode()
    try:
        TypeAdapter(RunName).validate_python(name)
    except ValidationError:
        assert told
    else:
        assert not told


def test_long_known_names_are_cut() -> None:
    told = nearest("x", ["[" * 5000, "short"])
    assert told.endswith(", short")
    assert len(told) < 120
