"""Several pretexts at once: one pass for a shared view, a weighted sum, an encoder that is saved once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from batches import LAYOUT, batch_for, change
from safetensors.torch import load_model, save_model

from ssl_skel.backbones import BACKBONES
from ssl_skel.batch import Batch, Rng
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.errors import UserError
from ssl_skel.pretexts import build_pretext
from ssl_skel.pretexts.combined import Combined
from ssl_skel.pretexts.configs.combined import CombinedConfig

MAE = {"name": "skeleton_mae", "decoder_dim": 16}
PSP = {"name": "psp", "projection": 8, "norm": "layer"}


def combined(*parts: dict[str, Any], **options: Any) -> Combined:
    torch.manual_seed(0)
    net = parse_config(
        BACKBONES["mpae_net"].Config,
        {"name": "mpae_net", "channels": [16, 16], "strides": [2, 2], "norm": "layer"},
        "test",
    )
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=16, stream="joint")
    data = {"name": "combined", "parts": list(parts), **options}
    task = build_pretext(parse_config(CombinedConfig, data, "test"), encoder)
    assert isinstance(task, Combined)
    return task.eval()


def fresh(batch: Batch) -> Batch:
    """The same batch with its random numbers unused."""
    return change(batch, rng=Rng(batch.rng.key, batch.rng.rows, start=batch.rng.start, total=batch.rng.total))


def test_without_sharing_it_is_the_weighted_sum() -> None:
    task = combined({"pretext": MAE, "weight": 0.5}, {"pretext": PSP, "weight": 2.0}, share=False)
    batch = batch_for(task)
    scalars = task(fresh(batch))
    mae, psp = (part(fresh(batch)) for part in task.tasks)
    torch.testing.assert_close(scalars["loss"], 0.5 * mae["loss"] + 2 * psp["loss"])
    torch.testing.assert_close(scalars["psp.positive"], psp["positive"])
    assert set(scalars) == {"loss", "skeleton_mae.loss", *(f"psp.{name}" for name in psp)}


@pytest.mark.parametrize(("share", "distinct"), [(True, 2), (False, 3)])
def test_a_shared_view_is_computed_once(share: bool, distinct: int) -> None:
    task = combined({"pretext": PSP}, {"pretext": MAE}, share=share)
    seen = []
    task.encoder.backbone.register_forward_hook(lambda module, args, out: seen.append(len(args[0])))
    batch = batch_for(task)
    scalars = task(fresh(batch))
    assert sum(seen) == distinct * batch.present.sum()
    assert len(seen) == 2  # what is hidden, and all that is whole
    views = task.views(fresh(batch))
    own, motion, masked = views
    assert motion.mask is None
    assert (own is masked) == share
    net = task.encoder.backbone
    features = [net(view.x, view.mask) for view in (own, motion)]
    expected = task.tasks[0].loss(batch, views[:2], features)
    torch.testing.assert_close(scalars["psp.loss"], expected["loss"])


def test_other_streams_are_not_shared() -> None:
    task = combined({"pretext": MAE}, {"pretext": {**PSP, "views": ["bone", "joint"]}})
    assert len(set(task.views(batch_for(task)))) == 3  # draw 1 of the joints is not draw 0


def test_parts_are_told_of_steps() -> None:
    task = combined({"pretext": MAE}, {"pretext": {**PSP, "momentum": 0.5}})
    keys = task.tasks[1].keys
    before = keys["head"].mlp[0].bias.clone()
    with torch.no_grad():
        task.tasks[1].head.mlp[0].bias += 1
    task.after_step(0.5)
    torch.testing.assert_close(keys["head"].mlp[0].bias, before + 0.5)


def test_the_encoder_is_one_and_is_saved_once(tmp_path: Path) -> None:
    task, other = combined({"pretext": MAE}, {"pretext": PSP}), combined({"pretext": MAE}, {"pretext": PSP})
    assert all(part.encoder is task.encoder for part in task.tasks)
    with torch.no_grad():
        for weight in task.parameters():
            weight += 0.1
    save_model(task, str(tmp_path / "model.safetensors"))
    load_model(other, tmp_path / "model.safetensors")
    torch.testing.assert_close(dict(other.named_parameters()), dict(task.named_parameters()))
    encoder = sum(weight.nbytes for weight in task.encoder.parameters())
    heads = sum(weight.nbytes for weight in task.parameters()) - encoder
    assert (tmp_path / "model.safetensors").stat().st_size < 1.2 * (encoder + heads) + 20_000


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([{"pretext": MAE}], "parts"),
        ([{"pretext": MAE}, {"pretext": MAE}], "name each pretext once"),
        ([{"pretext": MAE}, {"pretext": {"name": "spp"}}], "did you mean 'psp'"),
        ([{"pretext": MAE}, {"pretext": PSP, "weight": 0.0}], "weight"),
        ([{"pretext": MAE}, {"pretext": {**PSP, "temprature": 1.0}}], "did you mean 'temperature'"),
    ],
)
def test_what_cannot_be_combined_says_why(parts: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        combined(*parts)
