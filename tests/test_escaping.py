"""Nothing that a file or a name holds acts on a terminal or breaks the line of a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_skel.cli.app import report_errors
from ssl_skel.console import show_facts, show_table
from ssl_skel.errors import UserError
from ssl_skel.escaping import shown


@given(text=st.text())
def test_text_stays_on_its_line_and_letters_stay_as_they_are(text: str) -> None:
    assert len(shown(text).splitlines()) <= 1
    assert "\x1b" not in shown(text)
    shown(text).encode()
    if text.isprintable():
        assert shown(text) == text


def test_errors_and_tables_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), report_errors():
        raise UserError("a\nb\x1b[2J[red]")
    assert capsys.readouterr().err == "error: a\\nb\\x1b[2J[red]\n"
    show_table(["[b]\x1b"], [["[x]\rc"]], title="t\x07")
    show_facts({"class": {"\x1b]0;": 1}})
    out = capsys.readouterr().out
    assert not set(out) & set("\x1b\r\x07")
    assert "[x]\\rc" in out
    assert "[b]\\x1b" in out
