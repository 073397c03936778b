"""An encoder file is rebuilt from its own card, or refused with one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder
from ssl_skel.encoders.files import load_encoder, save_encoder
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, parse_layout


def fresh(layout: str = "sbu15", **options: Any) -> SkeletonEncoder:
    torch.manual_seed(0)
    config = MPAENetConfig(**{"size": "tiny", **options})
    return build_encoder(config, LAYOUTS[layout], channels=3, num_frames=16, stream="bone", extent="axis")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    net = fresh()
    save_encoder(tmp_path / "encoder", net, EncoderCard.of(net, seed=7, pretext={"name": "some"}, seconds=1.5))
    return tmp_path / "encoder"


@pytest.mark.parametrize("row", BACKBONES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_network_comes_back_the_same(row: str, layout: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = BACKBONES[row].Config(size="tiny")
    net = build_encoder(config, LAYOUTS[layout], channels=3, num_frames=16, stream="joint")
    x = torch.randn(2, 3, 16, net.layout.num_joints, 2)
    present = torch.tensor([[True, True], [True, False]])
    net(x, present)  # moves running statistics
    save_encoder(tmp_path, net, EncoderCard.of(net))
    other, card = load_encoder(tmp_path)
    assert torch.equal(other.eval()(x, present), net.eval()(x, present))
    assert other.backbone.config == config
    assert other.layout == net.layout
    assert card == EncoderCard.of(other)


def test_card_says_what_and_whence(saved: Path) -> None:
    encoder, card = load_encoder(saved)
    assert (card.seed, card.stream, card.num_frames, card.pretext) == (7, "bone", 16, {"name": "some"})
    assert card.extent == encoder.extent == "axis"
    assert {"python", "torch", "numpy", "ssl-skel"} <= set(card.versions)
    assert parse_layout(card.layout, "card") == LAYOUTS["sbu15"]


def test_the_card_counts_a_joints_channels_not_the_streams(tmp_path: Path) -> None:
    net = build_encoder(
        MPAENetConfig(size="tiny"), LAYOUTS["sbu15"], channels=3, num_frames=16, stream="pair_distances"
    )
    save_encoder(tmp_path, net, EncoderCard.of(net))
    other, card = load_encoder(tmp_path)
    assert (card.channels, other.channels, other.backbone.channels) == (3, 3, 15)


def test_a_card_of_before_extents_means_none(saved: Path) -> None:
    edit(lambda card: card.pop("extent"))(saved)
    encoder, card = load_encoder(saved)
    assert card.extent == encoder.extent == "none"


def test_a_run_directory_is_as_good_as_its_encoder(saved: Path) -> None:
    assert load_encoder(saved.parent)[1] == load_encoder(saved)[1]


def test_a_card_of_another_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"card\.layout"):
        save_encoder(tmp_path, fresh(), EncoderCard.of(fresh("coco17")))
    assert not any(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_encoder(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    monkeypatch.setattr(os, "replace", broken)
    net = fresh(heads=1)
    with pytest.raises(UserError, match=r"encoder\.safetensors: cannot be written: No space left on device"):
        save_encoder(saved, net, EncoderCard.of(net))
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = json.loads((folder / "card.json").read_text())
        change(data)
        (folder / "card.json").write_text(json.dumps(data))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "card.json").unlink(), r"card\.json: No such file"),
        (lambda folder: (folder / "card.json").write_text('{"layout": '), r"card\.json: is not JSON"),
        (lambda folder: (folder / "card.json").write_bytes(b"\xff\xfe"), r"card\.json: is not JSON"),
        (lambda folder: (folder / "card.json").write_text("[]"), r"format_version: is None"),
        (edit(lambda card: card.update(format_version=99)), r"format_version: is 99, this version reads 1"),
        (edit(lambda card: card.pop("stream")), r"card\.json: stream: missing"),
        (edit(lambda card: card.update(stream="bones")), r"stream: unknown 'bones'"),
        (edit(lambda card: card.update(extent="boxes")), r"extent: unknown 'boxes'; did you mean 'box'"),
        (edit(lambda card: card.update(colour="red")), r"colour: unknown key"),
        (edit(lambda card: card.update(num_frames=1)), r"num_frames: 1 is not a multiple of \d"),
        (edit(lambda card: card["layout"].pop("bones")), r"layout: bones: missing"),
        (edit(lambda card: card["backbone"].update(name="mpae")), r"backbone\.name: unknown backbone 'mpae'"),
        (edit(lambda card: card["backbone"].update(name=["a"])), r"backbone\.name: unknown"),
        (edit(lambda card: card["backbone"].update(haeds=2)), r"backbone: haeds: unknown key; did you mean 'heads'"),
        (edit(lambda card: card["backbone"].update(heads=1)), r"tensors do not fit card\.json"),
        (edit(lambda card: card["backbone"].update(channels=[8], strides=[1])), r"tensors do not fit card\.json"),
        (lambda folder: (folder / "encoder.safetensors").unlink(), r"encoder\.safetensors: .*belong beside"),
        (lambda folder: (folder / "encoder.safetensors").write_bytes(b"PK\x03\x04 pickle"), r"not a safetensors file"),
        (lambda folder: os.truncate(folder / "encoder.safetensors", 5000), r"not a safetensors file"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(saved: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(saved)
    with pytest.raises(UserError, match=message) as error:
        load_encoder(saved)
    assert "\n" not in str(error.value)
    assert str(saved) in str(error.value)


def test_an_empty_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give a run directory or a folder with"):
        load_encoder(tmp_path / "nowhere")
