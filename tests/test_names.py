"""The one "did you mean"."""

from __future__ import annotations

import pytest

from ssl_skel.names import nearest, unknown


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
