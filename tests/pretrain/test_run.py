"""A pretraining run from config to encoder, in this process."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_run import config

from pretrain.config import PretrainConfig
from pretrain.run import run
from ssl_skel.config import load_config
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.embedding.features import extract_features, whole_clips
from ssl_skel.encoders.files import load_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.pretexts.configs.psp import PSPConfig
from ssl_skel.pretexts.skeleton_mae import SkeletonMAE


@pytest.fixture(scope="module")
def done(motions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(config(motions, tmp_path_factory.mktemp("runs")))


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]


def encoder_bytes(folder: Path) -> bytes:
    return (folder / "encoder" / "encoder.safetensors").read_bytes()


def test_the_run_directory_holds_what_was_promised(done):
    assert {path.name for path in done.iterdir()} >= {"config.yaml", "log.jsonl", "checkpoints", "encoder"}
    assert {path.name for path in (done / "encoder").iterdir()} == {"encoder.safetensors", "card.json", "MODEL_CARD.md"}
    text = (done / "encoder/MODEL_CARD.md").read_text("utf-8")
    assert "0.00 M" not in text
    assert "| Pooling | part |" in text
    assert text.count("\n- ", text.index("## Before")) == 3
    assert f"# {done.name}\n" in text
    assert f"ssl_skel.Embedder({done.as_posix()!r})" in text
    assert "| Pretext | skeleton_mae |" in text


def test_the_written_config_makes_the_same_run_again(done, motions):
    assert load_config(PretrainConfig, done / "config.yaml") == config(motions, done.parent)


def test_the_log_has_a_line_an_epoch(done):
    log = records(done)
    assert [record["epoch"] for record in log] == [1, 2]
    assert all(np.isfinite(record["loss"]) for record in log)


def test_a_run_goes_on_after_an_upgrade_that_added_an_option(done, motions, tmp_path, capsys):
    folder = shutil.copytree(done, tmp_path / done.name)
    for path in folder.glob("checkpoints/*/state.json"):
        state = json.loads(path.read_text())
        del state["config"]["train"]["ema"], state["config"]["pretext"]["decoder"]
        path.write_text(json.dumps(state))
    run(config(motions, tmp_path), "auto")
    assert "done already" in capsys.readouterr().err
    for path in folder.glob("checkpoints/*/state.json"):
        state = json.loads(path.read_text())
        state["config"]["train"]["emma"] = 0.5
        path.write_text(json.dumps(state))
    with pytest.raises(UserError, match=r"began with: train\.emma: unknown key; did you mean 'ema'"):
        run(config(motions, tmp_path), "auto")


def test_the_card_says_what_the_encoder_is_and_has_seen(done, motions):
    store = Store.open(motions)
    encoder, card = load_encoder(done)
    assert (card.stream, card.num_frames, card.channels, card.seed) == ("joint", 16, 3, 0)
    assert card.layout == store.layout.to_dict()
    assert card.normalization == store.normalization
    assert card.backbone["channels"] == [16]
    assert card.pretext is not None
    assert card.pretext["mask"]["name"] == "union"
    assert card.data is not None
    assert card.data.sha256 == store.sha256
    assert (card.data.split, card.data.clips) == ("unseen", len(load_split(store, "unseen").train))
    assert card.seconds == pytest.approx(sum(record["seconds"] for record in records(done)))
    features = extract_features(encoder, whole_clips(store, np.arange(4), num_frames=16))
    assert np.isfinite(features).all()
    assert features.std(0).any()


def test_a_second_run_is_refused(done, motions):
    before = encoder_bytes(done)
    with pytest.raises(UserError, match=r"exists already; resume=auto"):
        run(config(motions, done.parent))
    assert encoder_bytes(done) == before


def test_resuming_a_finished_run_changes_nothing(done, motions, capsys):
    before, log = encoder_bytes(done), records(done)
    card = (done / "encoder" / "card.json").read_bytes()
    assert run(config(motions, done.parent), "auto") == done
    assert "done already" in capsys.readouterr().err
    assert encoder_bytes(done) == before
    assert records(done) == log
    assert (done / "encoder" / "card.json").read_bytes() == card


def test_a_seed_decides_everything(done, motions, tmp_path):
    torch.manual_seed(99)
    same = run(config(motions, tmp_path / "same"))
    assert encoder_bytes(same) == encoder_bytes(done)
    assert [r["loss"] for r in records(same)] == [r["loss"] for r in records(done)]
    other = run(config(motions, tmp_path / "other", seed=1))
    assert encoder_bytes(other) != encoder_bytes(done)


def test_the_final_encoder_is_the_averaged_one(motions, tmp_path, done):
    averaged = run(config(motions, tmp_path, train__ema=0.99))
    assert [r["loss"] for r in records(averaged)] == [r["loss"] for r in records(done)]
    assert encoder_bytes(averaged) != encoder_bytes(done)
    encoder, _ = load_encoder(averaged)
    assert all(value.isfinite().all() for value in encoder.state_dict().values())


def test_the_pretext_sees_no_labels(motions, tmp_path, monkeypatch):
    seen = []
    forward = SkeletonMAE.forward
    monkeypatch.setattr(SkeletonMAE, "forward", lambda self, batch: seen.append(batch.label) or forward(self, batch))
    run(config(motions, tmp_path, train__epochs=1))
    assert seen
    assert all((label == -1).all() for label in seen)


def test_another_stream_and_pooling(motions, tmp_path):
    changes = {"data__stream": "bone_motion", "data__extent": "box", "train__epochs": 1, "pooling": "part:2"}
    encoder, card = load_encoder(run(config(motions, tmp_path, **changes)))
    assert card.stream == "bone_motion"
    assert card.pooling == encoder.pooling.config == PoolingConfig(over="part", time_bins=2)
    assert card.extent == encoder.extent == "box"


def test_a_batch_larger_than_the_data_is_one_step_and_said(motions, tmp_path, capsys):
    assert [r["step"] for r in records(run(config(motions, tmp_path, train__batch_size=4096)))] == [1, 2]
    assert re.search(
        r"^warning: train\.batch_size: 4096, of \d+ clips; each step takes all$", capsys.readouterr().err, re.M
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__store": "nowhere"}, "nowhere: no store there; make it with ssl-skel convert"),
        ({"data__split": "xviw"}, "unknown split 'xviw'; did you mean 'xview'"),
        ({"data__num_frames": 18}, "data.num_frames: 18 is not a multiple of 4, mpae_net's stride"),
        ({"pooling": "parts"}, "pooling: unknown 'parts'"),
        ({"pretext__unit": 5}, "pretext.unit: 16 frames are not a multiple of 5"),
        ({"data__crop": [0.9, 0.5]}, "crop: needs 0 < low <= high <= 1"),
        ({"data__cameras": "others"}, "data.cameras: skeleton_mae sees one draw of each clip; give data.cameras own"),
        ({"train__accumulate": 5}, "train.batch_size: 12 clips cannot be cut into 5 micro-batches"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_nothing_behind(motions, tmp_path, changes, message):
    with pytest.raises(UserError) as caught:
        run(config(motions, tmp_path / "runs", **changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_the_loader_draws_as_the_config_says(motions, tmp_path, monkeypatch):
    import pretrain.run as module

    loaders: list[ClipLoader] = []
    monkeypatch.setattr(module, "fit", lambda task, loader, *rest, **named: loaders.append(loader))
    plain = config(motions, tmp_path)
    changes = {"sampling": "sorted", "min_frames": 23, "max_frames": 40, "balance": "class", "batches": "set"}
    changes["cameras"] = "others"
    data = plain.data.model_copy(update={**changes, "split": "all"})  # the split's training part is of one camera
    run(plain.model_copy(update={"data": data, "pretext": PSPConfig()}))
    assert {name: getattr(loaders[0], name) for name in changes} == changes
