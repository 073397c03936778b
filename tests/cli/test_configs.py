"""Shipped configs by name, from a checkout and from a wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

import ssl_skel
from finetune.config import FinetuneConfig
from pretrain.config import PretrainConfig
from ssl_skel.config import load_config
from ssl_skel.errors import UserError
from ssl_skel.shipped_configs import config_facts, find_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands run in a folder that holds nothing."""
    monkeypatch.chdir(tmp_path)


def test_every_config_has_a_name_of_its_own_and_a_header(call) -> None:
    facts = config_facts()
    assert [one.path for one in facts] == [str(find_config(one.name)) for one in facts]
    assert {Path(one.path) for one in facts} == set((ROOT / "configs").glob("*/*.yaml"))
    assert all(one.what and one.commands for one in facts)
    assert {"own_recordings", "linear_nw_ucla", "demo/linear"} <= {one.name for one in facts}
    code, out, _ = call("configs")
    assert code == 0
    assert all(one.name in out and one.what in out and one.outcome in out for one in facts)
    assert json.loads(call("configs", "--json")[1])[0]["name"] == facts[0].name


def test_a_name_stands_for_a_path_and_a_file_goes_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for model, name in ((PretrainConfig, "own_recordings"), (FinetuneConfig, "linear_nw_ucla")):
        shipped = ROOT / "configs" / model.__module__.partition(".")[0] / f"{name}.yaml"
        assert load_config(model, name, ["name=a"]) == load_config(model, shipped, ["name=a"])
    with pytest.raises(UserError, match="nowhere: no store"):
        ssl_skel.pretrain("own_recordings", "data.store=nowhere")
    (tmp_path / "own_recordings").write_text("name: [")
    with pytest.raises(UserError, match="own_recordings"):
        load_config(PretrainConfig, "own_recordings")


def test_a_config_is_shown_and_copied(call, tmp_path: Path) -> None:
    text = (ROOT / "configs/demo/linear.yaml").read_text("utf-8")
    assert call("configs", "demo/linear") == (0, text, "")
    assert call("configs", "demo/linear", "--copy")[0] == 0
    assert (tmp_path / "linear.yaml").read_text("utf-8") == text
    code, _, err = call("configs", "demo/linear", "--copy", "linear.yaml")
    assert (code, "linear.yaml: exists already" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("configs own_recording", "did you mean 'own_recordings'?"),
        ("pretrain own_recording", "did you mean 'own_recordings'?"),
        ("finetune linear_nwucla", "did you mean 'linear_nw_ucla'?"),
        ("sweep psp_nw_ucl seeds=0,1", "did you mean 'psp_nw_ucla'?"),
        ("pretrain configs/pretrain/own_recordings.yaml", "found by its name, own_recordings"),
        ("configs --copy", "--copy takes a NAME"),
    ],
)
def test_mistakes_in_names_are_one_line(call, words: str, told: str) -> None:
    code, _, err = call(*words.split())
    assert code == 2
    assert err.count("\n") == 1
    assert told in err


@pytest.mark.slow
def test_a_wheel_away_from_the_checkout_runs_the_demo(tmp_path: Path) -> None:
    """Built and installed in a fresh environment, with the other packages of this one."""

    def run(*words: object, cwd: Path = tmp_path) -> str:
        clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(list(map(str, words)), cwd=cwd, env=clean, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "fresh", with_pip=False)
    fresh = tmp_path / "fresh" / ("Scripts" if os.name == "nt" else "bin")
    run(sys.executable, "-m", "pip", "--python", fresh / "python", "install", "--no-deps", "--no-index", wheel)
    purelib = run(fresh / "python", "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip()
    (Path(purelib) / "others.pth").write_text(str(Path(np.__file__).parents[1]))
    assert run(fresh / "python", "-c", "import ssl_skel; print(ssl_skel.__file__)").startswith(purelib)

    command = fresh / "ssl-skel"
    assert json.loads(run(command, "configs", "--json"))[0]["path"].startswith(purelib)
    run(command, "synthetic", "stores/demo", "subjects=4", "cameras=2", "repetitions=1")
    run(command, "pretrain", "demo/pretrain", "train.epochs=1", "optim.warmup_epochs=0", "train.progress=false")
    assert "pretrained" in run(command, "finetune", "demo/linear", "protocols=[{name: knn, ks: [1]}]")
