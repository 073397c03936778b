"""Pretraining configs: those that ship, and mistakes in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pretrain.config import DataConfig, PretrainConfig
from ssl_skel.config import FormerName, dump_config, load_config, parse_config
from ssl_skel.encoders.streams import STREAMS
from ssl_skel.errors import UserError

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "pretrain").glob("*.yaml"))
LEAST = {
    "name": "x",
    "data": {"store": "s"},
    "backbone": {"name": "mpae_net"},
    "pretext": {"name": "skeleton_mae"},
    "train": {"epochs": 1, "batch_size": 2},
}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_are_read_and_written_alike(path, tmp_path):
    config = load_config(PretrainConfig, path)
    (tmp_path / "again.yaml").write_text(dump_config(config), "utf-8")
    assert load_config(PretrainConfig, tmp_path / "again.yaml") == config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_open_as_a_lab_note(path):
    note = [line for line in path.read_text("utf-8").splitlines() if line.startswith("#")]
    assert "et al." in note[0]
    assert any(f"ssl-skel pretrain configs/pretrain/{path.name}" in line for line in note)


def test_there_are_shipped_configs():
    assert CONFIGS


def test_all_streams_can_be_chosen():
    for stream in STREAMS:
        assert parse_config(DataConfig, {"store": "s", "stream": stream}, "test").stream == stream


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeed": 1}, "seeed: unknown key; did you mean 'seed'"),
        ({"name": "a/b"}, "name: 'a/b' cannot become the name of a file; use letters"),
        ({"data": {"store": "s", "stream": "bones"}}, "data.stream: unknown 'bones'; did you mean 'bone'"),
        ({"data": {"store": "s", "num_frames": "64"}}, "data.num_frames: input should be a valid integer"),
        ({"data": {"store": "s", "num_frames": 10**9}}, "data.num_frames: input should be less than or equal to 4096"),
        ({"data": {}}, "data.store: missing"),
        ({"data": {"store": "s", "sampling": "sort"}}, "data.sampling: unknown 'sort'; did you mean 'sorted'"),
        ({"backbone": {"name": "mpae_nett"}}, "did you mean 'mpae_net'"),
        ({"pretext": {"name": "skeleton_mae", "ratio": 0.5}}, "pretext.ratio: unknown key"),
        ({"augment": [{"name": "rotat"}]}, "did you mean 'rotate'"),
        ({"seed": -1}, "seed: input should be greater than or equal to 0"),
    ],
)
def test_mistakes_are_one_line_with_key_and_remedy(change, message):
    with pytest.raises(UserError) as caught:
        parse_config(PretrainConfig, {**LEAST, **change}, "run.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("run.yaml: ")
    assert "\n" not in str(caught.value)


def test_a_config_is_checked_before_anything_heavy_is_imported() -> None:
    """Every shipped config, and a mistake that lies deep."""
    words = """
import sys
from pretrain.config import PretrainConfig
from ssl_skel.config import load_config
from ssl_skel.errors import UserError
for path in sys.argv[1:]:
    load_config(PretrainConfig, path)
try:
    load_config(PretrainConfig, sys.argv[1], ["pretext.nonsense=1"])
except UserError as error:
    assert "pretext.nonsense: unknown key" in str(error), error
else:
    raise AssertionError("the mistake was not found")
print(sorted({"torch", "timm", "sklearn", "faiss", "scipy"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", words, *map(str, CONFIGS)], check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"


def test_init_is_the_former_name_of_init_from():
    with pytest.warns(FormerName, match="init is now called init_from"):
        assert parse_config(PretrainConfig, LEAST | {"init": "runs/a"}, "test").init_from == Path("runs/a")
