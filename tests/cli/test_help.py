"""The overview, completion, choices, ``--quiet`` and ``--json`` of every command; facts laid out for people."""

from __future__ import annotations

import inspect
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import typer

from ssl_skel import progress as shown
from ssl_skel.cli import app as cli
from ssl_skel.cli.experiments import report
from ssl_skel.cli.index import index
from ssl_skel.cli.released import import_weights
from ssl_skel.cli.stores import convert
from ssl_skel.cli.verb import PANELS, overview, panel_of
from ssl_skel.console import show_facts
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.readers import READERS
from ssl_skel.data.writer import DTYPES
from ssl_skel.experiments.formats import FORMATS
from ssl_skel.released.importing import RELEASES
from ssl_skel.retrieval.kinds import KINDS, LANCE

COMMANDS: dict[str, Any] = typer.main.get_command(cli.build()).commands  # type: ignore[attr-defined]


def choices(command: Callable[..., None], name: str) -> set[str]:
    """What the command line takes for a parameter."""
    kind = get_args(inspect.signature(command, eval_str=True).parameters[name].annotation)[0]
    return set(get_args(kind)) if get_origin(kind) is Literal else set(get_args(get_args(kind)[0]))


def complete(*words: str) -> list[str]:
    """What the shell offers for the last word."""
    asked = {"_SSL_SKEL_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", "from ssl_skel.cli.app import main; main()"],
        env=os.environ | asked,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_every_command_has_a_panel_and_the_overview_shows_them_in_its_order() -> None:
    names = [entry.name for entry in entry_points(group="ssl_skel.commands")]
    assert {panel_of(name) for name in names} == set(PANELS)
    assert list(COMMANDS) == overview(names)
    assert panel_of("of_another_package") not in PANELS


def test_every_command_has_quiet_help_in_short_and_json_where_it_prints_facts() -> None:
    for name, command in COMMANDS.items():
        options = {word for one in command.params for word in one.opts}
        assert {"--quiet", "-q"} <= options, name
        assert "--json" in options or name in ("report", "schema"), name  # report --format json; JSON by itself


@pytest.mark.parametrize("words", [["-h"], ["info", "-h"]])
def test_h_is_help(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["ssl-skel", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code or 0, "Usage" in capsys.readouterr().out) == (0, True)


def test_choices_are_those_of_the_parts() -> None:
    assert choices(convert, "centre") == set(get_args(NormalizeConfig.model_fields["centre"].annotation))
    assert choices(convert, "dtype") == set(DTYPES)
    assert choices(import_weights, "format_") == set(RELEASES)
    assert choices(report, "format") == set(FORMATS)
    assert choices(index, "kind") == {"flat", *KINDS, LANCE}


def test_the_shell_completes_commands_choices_configs_and_formats() -> None:
    assert complete("ssl-skel", "pre") == ["pretrain", "predict"]
    assert complete("ssl-skel", "export", "run", "--to", "") == ["onnx", "torch-export"]
    assert complete("ssl-skel", "pretrain", "own_rec") == ["own_recordings", "own_recordings_psp"]
    assert complete("ssl-skel", "convert", "pk") == [name for name in READERS if name.startswith("pk")]


def test_facts_are_laid_out_and_numbers_rounded(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {
        "seconds": 1.677150050000023,
        "large": 123456.7,
        "clips": 1234,
        "on": True,
        "nothing": {},
        "short": {"a": 1},
    }
    facts |= {"long": {"b": {"c": 0.5, "d": None}}, "files": [{"name": "x"}, {"name": "y"}]}
    show_facts(facts)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        *("seconds 1.68", "large 123,457", "clips 1,234", "on yes", "nothing none", "short a: 1"),
        *("long", "b c: 0.5, d: none", "files 2", "name: x", "name: y"),
    ]
    show_facts(facts, as_json=True)
    assert json.loads(capsys.readouterr().out)["seconds"] == 1.677150050000023


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_lines_a_terminal_a_bar_and_quiet_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "_BETWEEN_LINES", 0.0)
    printed = {}
    for kind, stream, quiet in (("file", io.StringIO(), ""), ("bar", Terminal(), ""), ("quiet", Terminal(), "1")):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv(shown.QUIET, quiet)
        assert list(shown.progress(range(3), "convert", unit="clip")) == [0, 1, 2]
        shown.note("epoch 1")
        printed[kind] = stream.getvalue()
    assert "\r" not in printed["file"]
    assert printed["file"].splitlines()[-2].startswith("convert: 3 of 3, ")
    assert "\r" in printed["bar"]
    assert "3/3" in printed["bar"]
    assert printed["quiet"] == ""


def test_quiet_reaches_the_work(
    tmp_path: Path, motions: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shown, "_BETWEEN_LINES", 0.0)
    for words, silent in (([], False), (["--quiet"], True)):
        monkeypatch.setenv(shown.QUIET, "")
        monkeypatch.setattr(sys, "argv", ["ssl-skel", "audit", str(motions), "-o", str(tmp_path / str(silent)), *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        assert ("audit: " in capsys.readouterr().err) is not silent
