"""The command: prints the table, prints the config, and fails in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner

from finetune.__main__ import command
from finetune.config import FinetuneConfig
from ssl_skel.config import dump_config, load_config
from ssl_skel.errors import UserError

app = typer.Typer()
app.command()(command)


def test_the_command_measures_and_says_where_the_report_is(
    make_config: Callable[..., FinetuneConfig], tmp_path
) -> None:
    config = make_config(baselines=["raw"])
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    result = CliRunner().invoke(app, [str(path), "protocols.0.ks=[3]", "name=other"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "kNN, k = 3" in result.stdout
    assert str(tmp_path / "runs" / "other" / "report.md") in result.stdout.replace("\n", "")
    page = (tmp_path / "runs" / "other" / "report.md").read_text()
    assert "name=other" in page
    assert "ssl-skel finetune" in page


def test_print_config_computes_nothing(make_config: Callable[..., FinetuneConfig], tmp_path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(make_config()))
    result = CliRunner().invoke(app, [str(path), "seeds=[5]", "--print-config"], catch_exceptions=False)
    (tmp_path / "shown.yaml").write_text(result.stdout)
    assert load_config(FinetuneConfig, tmp_path / "shown.yaml").seeds == (5,)
    assert not (tmp_path / "runs").exists()


def test_a_mistake_is_a_user_error(tmp_path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        CliRunner().invoke(app, [str(tmp_path / "none.yaml")], catch_exceptions=False)


def test_help_waits_for_nothing_heavy() -> None:
    heavy = "('torch', 'numpy', 'sklearn', 'pydantic')"
    code = f"import sys, finetune.__main__, finetune.commands; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
