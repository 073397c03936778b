"""The command as a user meets it: what it prints, and one line with exit code 2 for each kind of bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml

import ssl_skel
from ssl_skel.cli import app as cli

CONFIG = {
    "name": "tiny",
    "data": {"split": "unseen", "num_frames": 16},
    "backbone": {"name": "mpae_net", "channels": [16], "strides": [4], "heads": 2, "norm": "layer"},
    "pretext": {"name": "skeleton_mae", "decoder_dim": 16},
    "train": {"epochs": 1, "batch_size": 16, "device": "cpu", "progress": False},
}


@pytest.fixture
def store(motions: Path, tmp_path: Path) -> Path:
    """A copy of the small store, to be damaged."""
    shutil.copytree(motions, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def config(store: Path, tmp_path: Path) -> Path:
    """A pretraining config that works."""
    data = CONFIG | {"data": CONFIG["data"] | {"store": str(store)}, "runs": str(tmp_path / "runs")}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def refused(result: tuple[int, str, str], *words: str) -> None:
    code, _, err = result
    assert code == 2
    *before, last = err.strip().splitlines()
    assert last.startswith("error: ")
    assert not any("Traceback" in line for line in before)
    for word in words:
        assert word in last


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['ssl-skel', '--help']\n"
        "from ssl_skel.cli.app import main\n"
        "try: main()\n"
        "finally: print([m for m in ('torch', 'numpy', 'sklearn', 'pydantic') if m in sys.modules], file=sys.stderr)"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stderr.strip() == "[]"
    for verb in ("convert", "info", "synthetic", "pretrain", "finetune", "schema"):
        assert verb in shown.stdout


def test_version(call) -> None:
    assert call("--version")[:2] == (0, ssl_skel.__version__ + "\n")


def test_synthetic_and_info(call, tmp_path: Path) -> None:
    path = tmp_path / "motions"
    code, out, _ = call("synthetic", path, "subjects=2", "cameras=2", "repetitions=1")
    assert code == 0
    assert "clips" in out
    refused(call("synthetic", path, "subjects=2"), "motions", "overwrite")
    assert call("synthetic", path, "subjects=3", "cameras=2", "repetitions=1", "--overwrite")[0] == 0
    facts = json.loads(call("info", path, "--json")[1])
    assert facts["clips"] == 3 * 2 * 13
    refused(call("synthetic", path, "subject=2"), "subject: unknown key; did you mean 'subjects'?")


def test_former_names_work_with_a_warning_that_names_todays(call, tmp_path: Path) -> None:
    path = tmp_path / "motions"
    code, out, err = call("motions", path, "subjects=2", "cameras=2", "repetitions=1")
    assert code == 0
    assert "clips" in out
    assert err.splitlines()[0] == ("warning: motions is now called synthetic")
    assert " motions " not in call("--help")[1]
    for words in (["--readout", "part"], ["--readout=part"]):
        code, _, err = call("embed", tmp_path / "run", path, "-o", tmp_path / "out.npz", *words)
        assert code == 2
        warning, error = err.splitlines()
        assert warning.startswith("warning: --readout is now called --pooling")
        assert error.startswith(f"error: {tmp_path / 'run'}")


def test_a_warning_met_twice_is_printed_once() -> None:
    program = """
import warnings
from ssl_skel.cli.app import report_errors
with report_errors():
    warnings.warn("a is now called b", FutureWarning)
    warnings.warn("a is now called b", FutureWarning)
    warnings.warn("c is now called d", FutureWarning)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "warning: a is now called b\nwarning: c is now called d\n"


def test_python_m_is_the_command() -> None:
    words = [sys.executable, "-m", "ssl_skel", "--version"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == ssl_skel.__version__ + "\n"


def test_convert_npz(call, tmp_path: Path) -> None:
    clips = np.random.default_rng(0).normal(size=(4, 12, 20, 3)).astype(np.float32)
    np.savez(tmp_path / "mine.npz", joints=clips, label=np.array([0, 1, 0, 1]), subject=np.array([1, 1, 2, 2]))
    code, out, _ = call("convert", "npz", tmp_path / "mine.npz", tmp_path / "mine", "--layout", "kinect20", "--json")
    assert code == 0
    assert json.loads(out)["clips"] == 4
    refused(call("convert", "npy", tmp_path / "mine.npz", tmp_path / "other"), "npy", "npz")
    refused(call("convert", "npz", tmp_path / "none.npz", tmp_path / "other", "--layout", "kinect20"), "none.npz")
    refused(
        call("convert", "npz", tmp_path / "mine.npz", tmp_path / "o", "--layout", "kinect20", "--centre", "hip"),
        "'hip' is not one of 'first', 'frame', 'none'",
    )


def test_clips_of_nothing_but_nan_are_named_and_can_be_skipped(call, tmp_path: Path) -> None:
    clips = np.random.default_rng(0).normal(size=(4, 12, 20, 3)).astype(np.float32)
    clips[2] = np.nan
    np.savez(tmp_path / "mine.npz", joints=clips, name=np.array(["a", "b", "lost", "d"]))
    words = ("convert", "npz", tmp_path / "mine.npz", tmp_path / "mine", "--layout", "kinect20", "--json")
    refused(call(*words), "mine.npz", "lost", "skip-bad")
    assert not (tmp_path / "mine").exists()
    code, out, _ = call(*words, "--skip-bad")
    assert code == 0
    facts = json.loads(out)
    assert facts["clips"] == 3
    assert "lost" in json.dumps(facts["skipped"])


def test_schema(call) -> None:
    assert "backbone" in json.loads(call("schema", "pretrain")[1])["properties"]
    assert "protocols" in json.loads(call("schema", "finetune")[1])["properties"]
    refused(call("schema", "bake"), "bake", "finetune, pretrain")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("data.num_frame=16", ["data.num_frame: unknown key; did you mean 'num_frames'?"]),
        ("train.epochs=many", ["train.epochs", "valid integer", "'many'"]),
        ("backbone.name=mpae", ["backbone.name", "'mpae'", "mpae_net"]),
        ("data.store=nowhere", ["nowhere", "ssl-skel convert"]),
        ("data.split=xveiw", ["xveiw", "xview"]),
        ("data.num_frames=18", ["data.num_frames", "18"]),
        ("pretext.unit=5", ["pretext.unit", "5"]),
    ],
)
def test_bad_pretraining_configs(call, config: Path, change: str, words: list[str]) -> None:
    refused(call("pretrain", config, change), *words)
    assert not (config.parent / "runs").exists()


def test_damaged_stores(call, config: Path, store: Path) -> None:
    meta = json.loads((store / "meta.json").read_text())
    (store / "meta.json").write_text(json.dumps(meta | {"format_version": 99}))
    refused(call("pretrain", config), "meta.json", "99")
    (store / "meta.json").write_text("{")
    refused(call("pretrain", config), "meta.json")
    (store / "meta.json").write_text(json.dumps(meta))
    joints = store / "joints.npy"
    joints.write_bytes(joints.read_bytes()[:-1000])
    refused(call("pretrain", config), "joints.npy", "convert")
    refused(call("info", store), "joints.npy")


def labelled(folder: Path, joints: int, labels: list[int]) -> Path:
    """Four clips of two subjects as npz; and an evaluation of runs/tiny on the store that they become."""
    clips = np.random.default_rng(0).normal(size=(4, 12, joints, 3)).astype(np.float32)
    np.savez(folder / "mine.npz", joints=clips, label=np.array(labels), subject=np.array([1, 1, 2, 2]))
    evaluation = {
        "name": "other",
        "data": {"store": str(folder / "mine")},
        "encoders": {"xsub": str(folder / "runs" / "tiny")},
        "protocols": [{"name": "knn"}],
        "runs": str(folder / "runs"),
    }
    (folder / "evaluation.yaml").write_text(yaml.safe_dump(evaluation))
    return folder / "mine.npz"


def test_an_encoder_of_another_layout_is_refused(call, config: Path, tmp_path: Path) -> None:
    assert call("pretrain", config)[0] == 0
    refused(call("pretrain", config), "tiny", "resume=auto")
    source = labelled(tmp_path, joints=20, labels=[0, 1, 0, 1])
    assert call("convert", "npz", source, tmp_path / "mine", "--layout", "kinect20")[0] == 0
    refused(call("finetune", tmp_path / "evaluation.yaml"), "kinect20", "ntu25")


def test_a_class_missing_from_train_is_refused(call, config: Path, tmp_path: Path) -> None:
    assert call("pretrain", config)[0] == 0
    source = labelled(tmp_path, joints=25, labels=[0, 0, 0, 1])
    assert call("convert", "npz", source, tmp_path / "mine", "--layout", "ntu25")[0] == 0
    refused(call("finetune", tmp_path / "evaluation.yaml"), "xsub", "train")


def test_a_closed_pipe_and_ctrl_c_end_without_a_traceback(call, monkeypatch: pytest.MonkeyPatch) -> None:
    words = f"{sys.executable} -m ssl_skel layouts --json | true"
    piped = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=True)
    assert "Traceback" not in piped.stderr

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ssl_skel.layouts.load_layout", interrupted)
    code, out, err = call("layouts", "ntu25")
    assert (code, out, err) == (130, "", "stopped\n")


def test_no_help_shows_a_section_for_programmers() -> None:
    for name, command in typer.main.get_command(cli.build()).commands.items():  # type: ignore[attr-defined]
        assert "Raises:" not in (command.help or ""), name
