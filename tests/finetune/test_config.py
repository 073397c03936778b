"""Configs: every shipped one is read, and mistakes are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.config import FinetuneConfig
from finetune.protocols import PROTOCOLS
from ssl_skel.config import dump_config, load_config, parse_config, read_yaml
from ssl_skel.errors import UserError

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


def test_every_protocol_is_a_row_under_its_name() -> None:
    for name, protocol in PROTOCOLS.items():
        assert protocol.Config().name == name


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
        ({"seeds": []}, "seeds"),
        ({"name": "a/b"}, "name"),
    ],
)
def test_mistakes_are_one_line_with_key_and_remedy(make_config, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make_config(**changes)
    assert "\n" not in str(caught.value)
