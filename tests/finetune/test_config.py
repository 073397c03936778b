"""Configs: every shipped one is read, and mistakes are named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.config import FinetuneConfig
from ssl_skel.config import FormerName, dump_config, load_config, parse_config
from ssl_skel.errors import UserError
from ssl_skel.plain_yaml import read_yaml

SHIPPED = sorted((Path(__file__).parents[2] / "configs" / "finetune").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_config_is_read_and_reads_back(path: Path) -> None:
    config = load_config(FinetuneConfig, path)
    assert config.name == path.stem
    again = parse_config(FinetuneConfig, read_yaml(dump_config(config), "again"), "again")
    assert again == config


def test_there_are_shipped_configs() -> None:
    assert {path.stem for path in SHIPPED} >= {
        f"{p}_{d}" for p in ("knn", "linear") for d in ("nw_ucla", "utd_mhad", "sbu")
    }


def test_one_encoder_is_a_list_of_one(make_config: Callable[..., FinetuneConfig]) -> None:
    config = make_config(encoders={"xview": "runs/a", "xsub": ["runs/b", "runs/c"]})
    assert config.encoders == {"xview": (Path("runs/a"),), "xsub": (Path("runs/b"), Path("runs/c"))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocols": [{"name": "knnn"}]}, r"protocols\.0\.name: unknown 'knnn'; did you mean 'knn'"),
        ({"protocols": [{"name": "linear", "modus": "live"}]}, r"modus: unknown key; did you mean 'mode'"),
        ({"protocols": [{"name": "knn", "ks": [0]}]}, r"ks\.0"),
        ({"encoders": {}}, "encoders"),
        ({"encoders": {"xview": []}}, r"encoders\.xview"),
        ({"encoders": {"xview": 5}}, r"encoders\.xview\.0: .* got 5"),
        ({"encoders": ["runs/a"]}, "encoders"),
        ({"baselines": ["rew"]}, "unknown 'rew'; did you mean 'raw'"),
        ({"baselines": ["raw_pair"]}, "unknown 'raw_pair'; did you mean 'raw_pairs'"),
        ({"seeds": []}, "seeds"),
        ({"name": "a/b"}, "name"),
    ],
)
def test_mistakes_are_one_line_with_key_and_remedy(make_config, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make_config(**changes)
    assert "\n" not in str(caught.value)


def test_a_config_is_read_without_what_computes() -> None:
    """So that a mistake in it is answered at once."""
    heavy = "('torch', 'sklearn', 'scipy', 'faiss', 'accelerate')"
    code = f"import sys, finetune.config; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("row", "present"),
    [
        ({"name": "linear", "mode": "closed", "copies": 2}, {"mode": "cached", "augmented_views": 2}),
        ({"name": "linear", "mode": "live"}, {"mode": "trained"}),
        ({"name": "full", "select": "heldout", "heldout": 0.3}, {"select": "validation", "validation_share": 0.3}),
        ({"name": "retrieval", "copies": True}, {"duplicates": True}),
    ],
)
def test_former_names_are_read_with_a_warning(
    make_config: Callable[..., FinetuneConfig], row: dict, present: dict
) -> None:
    with pytest.warns(FormerName) as warned:
        config = make_config(protocols=[row])
    assert config.protocols[0].model_dump(include=present) == present
    assert len(warned) == len(row) - 1
    assert all("is now called" in str(one.message) for one in warned)
