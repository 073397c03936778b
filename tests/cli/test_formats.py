"""``ssl-skel convert --help`` lists every format, with what a file of it looks like."""

from __future__ import annotations

import pytest
from rich.text import Text

from ssl_skel.cli import app
from ssl_skel.cli.formats import FORMATS
from ssl_skel.data.readers import READERS


def test_all_formats_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(FORMATS) == list(READERS)
    monkeypatch.setattr("sys.argv", ["ssl-skel", "convert", "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        app.main()
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for name, (what, example) in FORMATS.items():
        at = lines.index(f"{name} {what}")
        assert lines[at + 1] == " ".join(example.split())
        assert str(Text.from_markup(example)) == example  # nothing in it is taken for markup
