"""A command whose options come in groups: one flat command line, one object a group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from ssl_skel.cli.groups import grouped


@dataclass(frozen=True)
class Size:
    """How large."""

    width: Annotated[int, typer.Option(help="Across.")]
    height: Annotated[int, typer.Option("-t", help="Up.")] = 2


@grouped
def command(name: Annotated[str, typer.Argument()], size: Size, loud: Annotated[bool, typer.Option()] = False) -> None:
    """Print what it was given."""
    print(name, size, loud)


app = typer.Typer()
app.command()(command)


def test_a_group_is_given_as_one_object() -> None:
    shown = CliRunner().invoke(app, ["box", "--width", "3", "-t", "4", "--loud"])
    assert shown.stdout == "box Size(width=3, height=4) True\n"
    assert CliRunner().invoke(app, ["box", "--width", "3"]).stdout == "box Size(width=3, height=2) False\n"


def test_a_required_field_is_a_required_option_and_help_shows_each_field() -> None:
    assert CliRunner().invoke(app, ["box"]).exit_code == 2
    text = CliRunner().invoke(app, ["--help"]).stdout
    for words in ("Print what it was given.", "How large", "--width", "Across.", "-t", "--loud"):
        assert words in text
    assert "--size" not in text
