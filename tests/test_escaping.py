"""Nothing that a file or a name holds acts on a terminal or breaks the line of a message."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_skel.cli.app import main, report_errors
from ssl_skel.console import show_facts, show_table
from ssl_skel.errors import UserError
from ssl_skel.escaping import say, say_page, shown


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


def test_lines_and_pages_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb\x1b")
    say("c\u202e", error=True)
    say_page("a\x1b\n\nb\n")
    assert capsys.readouterr() == ("a\\nb\\x1b\na\\x1b\n\nb\n", "c\\u202e\n")


def test_a_word_that_is_no_command_or_option_is_one_escaped_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (["conv\x1bert"], ["info", "--\x1b"], ["info"], ["view", "x", "--fps", "\x1b"]):
        monkeypatch.setattr(sys, "argv", ["ssl-skel", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("error: ")
        assert "\x1b" not in err


def test_a_console_without_a_letter_gets_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", write_through=True)
    monkeypatch.setattr(sys, "stdout", console)
    with report_errors():
        say("Grüße, 歩く")
        show_table(["class"], [["歩く"]], title="歩く")
    printed = console.buffer.getvalue().decode("cp1252")  # type: ignore[attr-defined]
    assert printed.splitlines()[0] == r"Grüße, \u6b69\u304f"
    assert printed.count(r"\u6b69\u304f") == 3


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "runs/x"), "runs/x: No space left on device; make room"),
        (OSError(30, "Read-only file system"), "Read-only file system; make room"),
        (OSError(2, "No such file or directory", "clips.npz"), "clips.npz: No such file or directory; make room"),
        (MemoryError("3 TB"), "not enough memory: 3 TB; use"),
        (RuntimeError("CUDA out of memory. Tried to"), "not enough memory: CUDA out of memory; use"),
        (RuntimeError("can't allocate memory: 9 TB"), "not enough memory: can't allocate memory: 9 TB; use"),
    ],
)
def test_what_the_machine_refuses_is_one_line(error: Exception, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, report_errors():
        raise error
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {line}")
