"""Encoders in the form of the Hugging Face Hub, in a local folder: nothing is fetched or sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub.hub_mixin
import pytest
import safetensors.torch
import torch
from huggingface_hub import ModelCard

from ssl_skel.backbones.configs.tcn import TCNConfig
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import load_encoder, save_encoder
from ssl_skel.encoders.hub import PretrainedEncoder
from ssl_skel.encoders.model_card import read_metadata
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    encoder = build_encoder(TCNConfig(size="tiny"), LAYOUTS["common15"], channels=3, num_frames=16, stream="pose")
    card = EncoderCard.of(encoder, normalization=NormalizeConfig(orient=True), seed=3, seconds=90.0)
    save_encoder(tmp_path / "run/encoder", encoder, card)
    return tmp_path / "run"


@pytest.fixture
def shared(run: Path, tmp_path: Path) -> Path:
    PretrainedEncoder.of(run).save_pretrained(tmp_path / "shared", model_card_kwargs={"licence": "cc-by-4.0"})
    return tmp_path / "shared"


def test_a_folder_has_the_files_of_the_hub(shared):
    assert sorted(path.name for path in shared.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert json.loads((shared / "config.json").read_text())["backbone"]["name"] == "tcn"


def test_what_comes_back_is_what_was_saved(run, shared, tmp_path):
    PretrainedEncoder.from_pretrained(shared).save(tmp_path / "back")
    (before, card), (after, again) = load_encoder(run), load_encoder(tmp_path / "back")
    assert again == card
    weights = after.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in before.state_dict().items())


def test_the_model_card_has_metadata_that_the_hub_reads(shared):
    card = ModelCard.load(shared / "README.md")
    assert (card.data.library_name, card.data.license) == ("ssl-skel", "cc-by-4.0")
    assert "skeleton" in card.data.tags
    assert "layout common15" in card.text
    assert "seed 3, 2 min" in card.text
    assert read_metadata(shared)["license"] == "cc-by-4.0"


def test_a_model_card_of_ones_own_is_kept(run, tmp_path):
    (run / "encoder/README.md").write_text("---\nlicense: mit\n---\n\n# Mine\n", "utf-8")
    PretrainedEncoder.of(run).save_pretrained(tmp_path / "shared")
    assert (tmp_path / "shared/README.md").read_text("utf-8").endswith("# Mine\n")
    assert "# Mine" in PretrainedEncoder.from_pretrained(tmp_path / "shared").readme


def test_push_sends_the_same_files(run, monkeypatch):
    sent: dict[str, Any] = {}

    class Api:
        def __init__(self, token=None): ...

        def create_repo(self, repo_id, **options):
            return type("Repo", (), {"repo_id": repo_id})

        def upload_folder(self, *, repo_id, folder_path, **options):
            sent.update(repo=repo_id, files=sorted(path.name for path in Path(folder_path).iterdir()))

    monkeypatch.setattr(huggingface_hub.hub_mixin, "HfApi", Api)
    PretrainedEncoder.of(run).push_to_hub("someone/mine")
    assert sent == {"repo": "someone/mine", "files": ["README.md", "config.json", "model.safetensors"]}


def test_what_is_not_there_is_one_line(tmp_path):
    (tmp_path / "pickled").mkdir()
    torch.save({"a": torch.zeros(1)}, tmp_path / "pickled/pytorch_model.bin")
    with pytest.raises(UserError, match=r"pickled/config.json: No such file"):
        PretrainedEncoder.from_pretrained(tmp_path / "pickled")
    with pytest.raises(UserError, match="nobody/nothing: cannot be read"):
        PretrainedEncoder.from_pretrained("nobody/nothing", local_files_only=True, cache_dir=tmp_path)


@pytest.mark.parametrize("damage", ["[1", "[" * 100_000, '{"format_version": 1}'])
def test_a_damaged_config_is_one_line(shared, damage):
    (shared / "config.json").write_text(damage)
    with pytest.raises(UserError, match="shared"):
        PretrainedEncoder.from_pretrained(shared)


def test_weights_of_another_encoder_are_refused(shared):
    safetensors.torch.save_file({"a": torch.zeros(1)}, shared / "model.safetensors")
    with pytest.raises(UserError, match=r"tensors do not fit config.json"):
        PretrainedEncoder.from_pretrained(shared)
