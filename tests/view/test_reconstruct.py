"""Reconstructions: streams and units turn back into joints, hidden is hidden, and what cannot be drawn is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ssl_skel.data.store import Store
from ssl_skel.embedding.features import whole_clips
from ssl_skel.encoders.extents import to_extent
from ssl_skel.encoders.stream_names import Extent
from ssl_skel.encoders.streams import to_stream
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.pretexts.losses import normalize_patches, to_patches
from ssl_skel.pretexts.skeleton_mae import SkeletonMAE, face_camera
from ssl_skel.view import reconstruct as module
from ssl_skel.view.reconstruct import load_autoencoder, page_of_reconstructions, reconstruct


@pytest.mark.parametrize("stream", ["joint", "pose", "bone"])
def test_streams_turn_back_into_joints(stream: str) -> None:
    layout = LAYOUTS["ntu25"]
    x = torch.randn(2, 3, 4, 25, 1)
    joints, seen = x[..., 0], to_stream(x, torch.ones(2, 1, dtype=torch.bool), stream, layout)[..., 0]
    back = module._to_joints(seen, stream, layout, joints[..., layout.root])
    torch.testing.assert_close(back, joints)


@pytest.mark.parametrize("normalize", [False, True])
def test_units_turn_back_into_streams(done: Path, normalize: bool) -> None:
    mae = load_autoencoder(done)
    mae.config = mae.config.model_copy(update={"normalize": normalize})
    truth = torch.randn(2, 3, 16, 25)
    units = to_patches(truth, mae.config.unit)
    units = normalize_patches(units, mae.config.normalize_eps) if normalize else units
    torch.testing.assert_close(module._streams(mae, units, truth), truth, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("frame", "extent"), [("input", "none"), ("body", "none"), ("body", "box")])
def test_a_perfect_prediction_is_the_recording(
    done: Path, motions: Path, monkeypatch: pytest.MonkeyPatch, frame: str, extent: Extent
) -> None:
    store, mae = Store.open(motions), load_autoencoder(done)
    mae.encoder.extent = extent
    mae.config = mae.config.model_copy(update={"normalize": False, "loss_on": "all", "target_frame": frame})
    rows = np.array([0, int(np.flatnonzero(store.persons == 2)[0]), 5])
    (batch,) = whole_clips(store, rows, num_frames=16, batch_size=3).epoch()
    joints = face_camera(batch.x[:, 0], mae.layout) if frame == "body" else batch.x[:, 0]
    perfect = to_patches(mae.encoder.pack(joints, batch.present), mae.config.unit)
    monkeypatch.setattr(SkeletonMAE, "predict", lambda self, packed, mask: perfect)
    unit = "cm" if extent == "none" else "hundredths of the longest edge of the clip's box"
    assert module._unit(store, mae.encoder) == unit
    found = reconstruct(mae, store, rows, unit)
    joints = to_extent(joints, batch.present, extent, mae.layout)
    for at, trio in enumerate(found):
        real = joints[at].permute(3, 1, 2, 0)[batch.present[at]].numpy()
        np.testing.assert_allclose(trio.original.joints, real, atol=1e-6)
        np.testing.assert_allclose(trio.predicted.joints, real, atol=1e-5)
        seen = np.isfinite(trio.masked.joints).all(-1)
        np.testing.assert_allclose(trio.masked.joints[seen], real[seen], atol=1e-6)
        share = int(re.match(r"\d+", trio.masked.facts["hidden"])[0])  # type: ignore[index]
        assert 100 * (1 - seen.mean()) == pytest.approx(share, abs=0.51)
        assert 20 < share < 95
        assert trio.predicted.facts["mean error where hidden"] == f"0.0 {unit}"
        assert trio.original.seconds == pytest.approx(store.frames[rows[at]] / 30)


def test_where_only_hidden_units_count_the_rest_is_shown_as_it_was(done: Path, motions: Path) -> None:
    store, mae = Store.open(motions), load_autoencoder(done)
    assert mae.config.loss_on == "hidden"
    (trio,) = reconstruct(mae, store, np.array([3]))
    seen = np.isfinite(trio.masked.joints).all(-1)
    np.testing.assert_allclose(trio.predicted.joints[seen], trio.original.joints[seen], atol=1e-6)
    assert np.abs(trio.predicted.joints[~seen] - trio.original.joints[~seen]).max() > 1e-3
    assert float(trio.predicted.facts["mean error where hidden"].split()[0]) > 0


def test_the_newest_weights_are_loaded(done: Path) -> None:
    saved = load_file(sorted((done / "checkpoints").iterdir())[-1] / "model.safetensors")
    mae = load_autoencoder(done)
    assert not mae.training
    torch.testing.assert_close(mae.state_dict()["decoder.leave.weight"], saved["decoder.leave.weight"])


def test_the_page(done: Path, motions: Path) -> None:
    page = page_of_reconstructions(done, count=2)
    assert page.count("<h3>Predicted") == 2
    assert re.findall(r'data-clip="(\d)" data-stand="(\d)"', page)[:3] == [("0", "0"), ("1", "0"), ("2", "0")]
    assert "It predicts shapes of paths only" in page
    name = str(Store.open(motions).name[4])
    assert f"<h2>{name}</h2>" in page_of_reconstructions(done, motions, names=[name])


def test_a_combination_is_looked_into(train: Callable[..., Path], motions: Path) -> None:
    parts: list[dict[str, Any]] = [
        {"pretext": {"name": "skeleton_mae", "decoder_dim": 16, "unit": 2}},
        {"pretext": {"name": "temporal_order"}},
    ]
    mixed = train(pretext={"name": "combined", "parts": parts}, train__epochs=1, train__eval_every=0, train__ema=0.9)
    assert page_of_reconstructions(mixed, motions, count=1).count("<h3>Predicted") == 1


def test_what_cannot_be_drawn_is_refused(done: Path, tmp_path: Path) -> None:
    def changed(**changes: str) -> Path:
        path = shutil.copytree(done, tmp_path / "-".join(changes.values()), dirs_exist_ok=True)
        text = (path / "config.yaml").read_text()
        for old, new in changes.items():
            text = re.sub(rf"(\n  {old}: ).*", rf"\g<1>{new}", text)
        (path / "config.yaml").write_text(text)
        return path

    with pytest.raises(UserError, match=r"predicts changes between frames, which cannot be drawn"):
        load_autoencoder(changed(target="motion"))
    cut = changed(unit="2")
    newest = sorted((cut / "checkpoints").iterdir())[-1] / "model.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"model.safetensors: damaged or of another network"):
        load_autoencoder(cut)
    save_file({"token": torch.zeros(1)}, newest)
    with pytest.raises(UserError, match=r"model.safetensors: is of another network, first 'decoder"):
        load_autoencoder(cut)
    shutil.rmtree(cut / "checkpoints")
    with pytest.raises(UserError, match=r"has no checkpoint"):
        load_autoencoder(cut)
    text = (cut / "config.yaml").read_text()
    start, stop = text.index("pretext:"), text.index("optim:")
    (cut / "config.yaml").write_text(text[:start] + "pretext: {name: temporal_order}\n" + text[stop:])
    with pytest.raises(UserError, match=r"its pretext, temporal_order, predicts no coordinates"):
        load_autoencoder(cut)
    (cut / "config.yaml").write_text(text[:start] + "pretext: {name: unknown}\n" + text[stop:])
    with pytest.raises(UserError, match=r"pretext.name: unknown pretext 'unknown'"):
        load_autoencoder(cut)
