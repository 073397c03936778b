"""SkeletonMAE: what it hides, what it predicts, and which options it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.batch import Batch, Rng
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder
from ssl_skel.encoders.streams import STREAMS
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.pretexts.base import encode_views
from ssl_skel.pretexts.configs.skeleton_mae import SkeletonMAEConfig
from ssl_skel.pretexts.losses import masked_cosine
from ssl_skel.pretexts.masking import MASKS
from ssl_skel.pretexts.skeleton_mae import SkeletonMAE, face_camera

LAYOUT = LAYOUTS["kinect20"]
TINY: dict[str, dict[str, Any]] = {
    **{name: {"size": "tiny"} for name in BACKBONES},
    "mpae_net": {"channels": [16, 16], "strides": [2, 2]},
}
FRAMES = 16
VISIBLE = {"encode": "visible", "decoder_input": "visible"}


def mae(backbone: str | SkeletonEncoder = "mpae_net", stream: str = "joint", **options: Any) -> SkeletonMAE:
    torch.manual_seed(0)
    if isinstance(backbone, str):
        net = parse_config(BACKBONES[backbone].Config, {"name": backbone, **TINY.get(backbone, {})}, "test")
        backbone = build_encoder(net, LAYOUT, channels=3, num_frames=FRAMES, stream=stream)
    config = parse_config(SkeletonMAEConfig, {"name": "skeleton_mae", "decoder_dim": 16, **options}, "test")
    return SkeletonMAE(config, backbone, LAYOUT)


def paths(clips: int = 2, persons: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(clips, 1, 3, FRAMES, 20, persons, generator=generator).cumsum(3) * 0.05


def batch(x: Tensor, seed: int = 0) -> Batch:
    clips, persons = x.shape[0], x.shape[-1]
    index = torch.arange(clips)
    return Batch(x, torch.ones(clips, persons, dtype=torch.bool), index, index, Rng((seed,), clips))


class Merging(Backbone):
    """A backbone that keeps no joint axis, as some networks do."""

    Config = BackboneConfig
    dim, t_stride = 6, 4

    def __init__(self) -> None:
        super().__init__(BackboneConfig(), LAYOUT, 3, FRAMES)
        self.net = nn.Linear(3 * 4 * 20, 6)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            x = x.masked_fill(mask.repeat_interleave(x.shape[2] // mask.shape[1], 1).unsqueeze(1), 0.0)
        cells = x.permute(0, 2, 3, 1).reshape(len(x), x.shape[2] // 4, -1)
        return self.net(cells).permute(0, 2, 1).unsqueeze(-1)

    def stages(self) -> list[nn.Module]:
        return [self.net]


@pytest.mark.parametrize("decoder_input", ["all", "visible", "pooled"])
@pytest.mark.parametrize("backbone", [*BACKBONES, "merging"])
@pytest.mark.parametrize("mask", sorted(MASKS))
def test_hidden_coordinates_do_not_influence_the_prediction(backbone, mask, decoder_input):
    net = SkeletonEncoder(Merging()) if backbone == "merging" else backbone
    task = mae(net, mask={"name": mask}, decoder_input=decoder_input).eval()
    x = paths()
    hidden = task.mask(Rng((0,), 2), x[:, 0], 4)[:, 0]
    packed = task.encoder.pack(x[:, 0], torch.ones(2, 1, dtype=torch.bool))
    spoiled = packed.masked_fill(hidden.repeat_interleave(4, 1).unsqueeze(1), 7.0)
    seen = packed + 0.1 * ~hidden.repeat_interleave(4, 1).unsqueeze(1)
    with torch.no_grad():
        prediction = task.predict(packed, hidden)
        assert prediction.shape == (2, 4, 20, 12)
        assert torch.equal(prediction, task.predict(spoiled, hidden))
        assert not torch.equal(prediction, task.predict(seen, hidden))


def test_frames_that_are_hidden_as_a_whole_may_stay_out_of_the_network():
    """The others stand side by side, person by person; the rest of the grid is zeros, and no hidden value counts."""
    task = mae(**VISIBLE).eval()
    data = batch(paths(3))
    (view,) = task.views(data)
    features = encode_views(task.encoder.backbone, [view])[view]
    assert features.shape == (3, task.encoder.backbone.dim, 4, 20)
    for clip, hidden, found in zip(view.x, view.mask, features, strict=True):
        units = [unit for unit in range(4) if not hidden[unit].all()]
        assert len(units) == 2
        x = torch.cat([clip[:, 4 * unit : 4 * unit + 4] for unit in units], 1)
        expected = torch.zeros_like(found)
        expected[:, units] = task.encoder.backbone(x[None], hidden[None, units])[0]
        torch.testing.assert_close(found, expected)
    spoiled = view.x.masked_fill(view.mask.repeat_interleave(4, 1)[:, None], 7.0)
    assert torch.equal(task.predict(view.x, view.mask), task.predict(spoiled, view.mask))
    task(data)["loss"].backward()
    assert all(weight.grad is not None for weight in task.encoder.backbone.parameters())


@pytest.mark.parametrize("unit", [1, 2, 4, 8])
def test_units_may_be_shorter_or_longer_than_the_stride(unit):
    task = mae(unit=unit)
    assert task.encoder.backbone.t_stride == 4
    packed = task.encoder.pack(paths()[:, 0], torch.ones(2, 1, dtype=torch.bool))
    mask = task.mask(Rng((0,), 2), paths()[:, 0], unit)[:, 0]
    assert task.predict(packed, mask).shape == task.target(packed).shape == (2, FRAMES // unit, 20, 3 * unit)
    assert task(batch(paths()))["loss"].isfinite()


def test_frames_of_the_prediction_are_in_order():
    """With a decoder that copies the cell's values, the prediction is the input again."""
    task = mae(unit=2)
    packed = task.encoder.pack(paths()[:, 0], torch.ones(2, 1, dtype=torch.bool))  # (B, C, T, V)
    cells = torch.unflatten(packed, 2, (-1, 4)).permute(0, 2, 4, 3, 1).flatten(3)  # (B, Tp, V, 4 * C)
    task.decoder.forward = lambda features, hidden, wanted: features
    task.encoder.backbone.forward = lambda x, mask=None: cells
    mask = torch.zeros(2, 8, 20, dtype=torch.bool)
    config = task.config.model_copy(update={"normalize": False})
    task.config = config
    assert torch.equal(task.predict(packed, mask), task.target(packed))


@pytest.mark.parametrize("step", [1, 3])
def test_motion_target_is_the_change_and_zero_at_the_end(step):
    task = mae(target="motion", motion_stride=step, normalize=False)
    packed = task.encoder.pack(paths()[:, 0], torch.ones(2, 1, dtype=torch.bool))
    target = task.target(packed)
    for t in range(FRAMES):
        expected = packed[:, :, t + step] - packed[:, :, t] if t + step < FRAMES else torch.zeros(2, 3, 20)
        assert torch.equal(target[:, t // 4, :, t % 4 * 3 : t % 4 * 3 + 3], expected.transpose(1, 2))


@pytest.mark.parametrize("stream", sorted(STREAMS))
def test_the_target_is_the_encoders_stream(stream):
    task = mae(stream=stream, normalize=False)
    x = paths(persons=2)
    packed = task.encoder.pack(x[:, 0], torch.ones(2, 2, dtype=torch.bool))
    assert torch.equal(task.target(packed)[..., : packed.shape[1]], packed[:, :, ::4].permute(0, 2, 3, 1))
    assert task(batch(x))["loss"].isfinite()


def test_loss_counts_hidden_units_only():
    task = mae(normalize=False).eval()
    one = batch(paths())
    hidden = task.mask(Rng((0,), 2), paths()[:, 0], 4)[:, 0]
    packed = task.encoder.pack(paths()[:, 0], one.present)
    with torch.no_grad():
        error = (task.predict(packed, hidden) - task.target(packed)).square().mean(-1)
        expected = torch.stack([error[n][hidden[n]].mean() for n in range(2)]).mean()
        torch.testing.assert_close(task(one)["loss"], expected)


def given_to_the_decoder(task: SkeletonMAE, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
    seen: list[tuple[Tensor, Tensor | None]] = []
    forward = task.decoder.forward
    task.decoder.forward = lambda *given: (seen.append(given[:2]), forward(*given))[1]
    task.decode(features, mask)
    return seen[0]


@pytest.mark.parametrize("unit", [2, 4, 8])
def test_a_cell_without_a_frame_in_sight_is_hidden_from_the_decoder(unit: int) -> None:
    task = mae(decoder_input="visible", unit=unit, mask={"name": "random", "ratio": 0.5})
    mask = torch.rand(2, FRAMES // unit, 20) < 0.5
    features = torch.randn(2, task.encoder.backbone.dim, 4, 20)
    given, hidden = given_to_the_decoder(task, features, mask)
    assert torch.equal(given, features)
    assert hidden is not None
    for b in range(2):
        for cell in range(4):
            for v in range(20):
                frames = [mask[b, frame // unit, v] for frame in range(4 * cell, 4 * cell + 4)]
                assert hidden[b, cell, v] == all(frames)


def test_pooled_input_is_the_mean_of_the_features():
    task = mae(decoder_input="pooled")
    features = torch.randn(2, task.encoder.backbone.dim, 4, 20)
    given, hidden = given_to_the_decoder(task, features, torch.zeros(2, 4, 20, dtype=torch.bool))
    assert torch.equal(given, features.mean((2, 3), keepdim=True).expand_as(features))
    assert hidden is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": 3}, "pretext.unit: 16 frames are not a multiple of 3"),
        ({"decoder_dim": 18}, "pretext.decoder_dim: must be a multiple of decoder_heads = 4"),
        ({"target": "motion", "motion_stride": 16}, "pretext.motion_stride: must be below the 16 frames"),
        ({"mask": {"name": "nested", "joint_ratio": 0.0}}, "pretext.mask: nested with frame_ratio 0.4 and joint"),
        ({"mask": {"name": "unionn"}}, "did you mean 'union'"),
        ({"mask": {"name": "union", "ratio": 0.5}}, "mask.ratio: unknown key; did you mean"),
        ({"decoder": "axal"}, "decoder: unknown 'axal'; did you mean 'axial'"),
        ({"decoder": "cross"}, "decoder_input: cross attends to what is visible; write visible"),
        ({"decoder": "cross", "decoder_input": "visible", "decoder_depth": 0}, "decoder_depth: cross reads"),
        ({"decoder": "joint", "decoder_sample": 0.5}, "decoder_sample: joint predicts every unit"),
        ({"decoder_sample": 0.0}, "decoder_sample: input should be greater than 0"),
        ({"encode": "visible"}, "decoder_input: hidden frames have no features; write visible or pooled"),
        ({"encode": "visible", "mask": {"name": "random"}}, "encode: visible needs frames that are hidden as a whole"),
        ({**VISIBLE, "unit": 2}, "pretext.unit: encode visible needs a multiple of the network's stride 4"),
        ({**VISIBLE, "backbone": "st_transformer"}, "pretext.encode: st_transformer computes only what is visible"),
        ({"unit": 0}, "unit: input should be greater than or equal to 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        mae(**options)


def test_the_body_frame_is_the_same_from_every_side() -> None:
    x = paths(persons=2)[:, 0]
    faced = face_camera(x, LAYOUT)
    left, right = (faced[:, :, :2, joint, 0] for joint in LAYOUT.across)
    line = torch.nn.functional.normalize((right - left)[:, 0::2], dim=1).sum(2)
    assert torch.allclose(line[:, 1], torch.zeros(2), atol=1e-5)
    assert (line[:, 0] > 0).all()
    for degrees in (30.0, 170.0, -95.0):
        angle = torch.deg2rad(torch.tensor(degrees))
        matrix = torch.tensor([[angle.cos(), 0, angle.sin()], [0, 1, 0], [-angle.sin(), 0, angle.cos()]])
        turned = torch.einsum("dc,nctvm->ndtvm", matrix, x)
        assert torch.allclose(face_camera(turned, LAYOUT), faced, atol=1e-5)
    nobody = torch.zeros_like(x)
    assert torch.equal(face_camera(nobody, LAYOUT), nobody)


def test_the_body_frame_concerns_the_target_alone() -> None:
    plain, body = mae(normalize=False), mae(normalize=False, target_frame="body")
    body.load_state_dict(plain.state_dict())
    x = paths()
    present = torch.ones(2, 1, dtype=torch.bool)
    mask = body.mask(batch(x).rng, x[:, 0], body.config.unit)[:, 0]
    prediction = plain.eval().predict(plain.encoder.pack(x[:, 0], present), mask)
    target = body.target(body.encoder.pack(face_camera(x[:, 0], LAYOUT), present))
    assert torch.allclose(body.eval()(batch(x))["loss"], (prediction - target).square().mean(-1)[mask].mean())


def test_the_cosine_error_is_an_option_that_learns() -> None:
    task = mae(error="cosine", mask={"name": "random", "ratio": 0.5, "level": "part"}, normalize=False).eval()
    data = batch(paths())
    (view,) = task.views(data)
    expected = masked_cosine(task.predict(view.x, view.mask), task.target(view.x), view.mask, data.present, 2.0)
    optimiser, losses = torch.optim.Adam(task.parameters(), 5e-3), []
    for _ in range(3):
        loss = task.loss(data, [view], [task.encoder.backbone(view.x, view.mask)])["loss"]
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[0] == pytest.approx(float(expected.detach()), rel=1e-5)
    assert losses[0] > losses[1] > losses[2]


def test_loss_on_all_counts_visible_units_too() -> None:
    hidden, every = mae(normalize=False), mae(normalize=False, loss_on="all")
    every.load_state_dict(hidden.state_dict())
    x = paths()
    loss = {name: task.eval()(batch(x))["loss"] for name, task in (("hidden", hidden), ("all", every))}
    packed = every.encoder.pack(x[:, 0], torch.ones(2, 1, dtype=torch.bool))
    mask = every.mask(batch(x).rng, x[:, 0], every.config.unit)[:, 0]
    error = (every.predict(packed, mask) - every.target(packed)).square().mean(-1)
    assert torch.allclose(loss["all"], error.mean())
    assert torch.allclose(loss["hidden"], error[mask].mean())
    assert not torch.allclose(loss["all"], loss["hidden"])
