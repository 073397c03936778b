"""A card may describe a network of any size; what is built of it is not larger than its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.config import parse_config
from ssl_skel.encoders.build_limit import BuildLimit
from ssl_skel.encoders.card import CARD, EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import load_encoder, save_encoder
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    config = MPAENetConfig(channels=(8,), strides=(2,), heads=2, norm="layer")
    built = build_encoder(config, LAYOUTS["sbu15"], channels=3, num_frames=16, stream="joint")
    save_encoder(tmp_path, built, EncoderCard.of(built))
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": {"channels": [100_000]}},
        {"backbone": {"channels": [10**9]}},
        {"backbone": {"channels": [1024] * 60, "strides": [1] * 60}},
    ],
)
def test_a_card_of_a_huge_network_is_refused_before_it_takes_memory(encoder: Path, change: dict[str, Any]) -> None:
    card = json.loads((encoder / CARD).read_text())
    backbone = card["backbone"] | change.pop("backbone", {})
    (encoder / CARD).write_text(json.dumps(card | change | {"backbone": backbone}))
    with pytest.raises(UserError, match=r"card\.json: describes a network far larger than the weights beside it"):
        load_encoder(encoder)


def test_coordinates_of_a_joint_are_few(encoder: Path) -> None:
    card = json.loads((encoder / CARD).read_text())
    (encoder / CARD).write_text(json.dumps(card | {"channels": 10**8}))
    with pytest.raises(UserError, match=r"card\.json: channels: input should be less than or equal to 16"):
        load_encoder(encoder)


def test_other_errors_of_building_pass() -> None:
    with pytest.raises(RuntimeError, match="negative"), BuildLimit("card.json", 0):
        torch.empty(-1)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_network_is_within_the_limit(name: str) -> None:
    network = parse_config(BACKBONES.configs[name], {"name": name, "size": "tiny"}, name)
    with BuildLimit("card.json", 0):
        encoder = build_encoder(network, LAYOUTS["ntu25"], channels=3, num_frames=64, stream="joint")
    assert len(encoder.state_dict())
