"""Recalibrations against loops, and in front of every network."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.backbones.recalibration import RECALIBRATIONS
from ssl_skel.backbones.recalibration.config import CSTAConfig, MTEConfig, RecalibrationConfig, TARMConfig
from ssl_skel.backbones.recalibration.csta import CSTA
from ssl_skel.backbones.recalibration.excitation import Excitation, Grid
from ssl_skel.backbones.recalibration.mte import MTE, MTEBranch
from ssl_skel.backbones.recalibration.tarm import TARM
from ssl_skel.config import load_config, parse_config
from ssl_skel.embedding.export import DenseEncoder
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder
from ssl_skel.encoders.files import load_encoder, save_encoder
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

SBU = LAYOUTS["sbu15"]


def excite(weigh: nn.Sequential, means: Tensor) -> Tensor:
    """FC, ReLU, FC, sigmoid of one vector, a unit at a time."""
    first, _, second, _ = weigh
    low = torch.stack([(first.weight[i] * means).sum() + first.bias[i] for i in range(len(first.bias))]).clamp(min=0)
    high = [(second.weight[i] * low).sum() + second.bias[i] for i in range(len(second.bias))]
    return 1 / (1 + torch.exp(-torch.stack(high)))


def gru(inputs: list[Tensor], cell: nn.GRU, suffix: str) -> list[Tensor]:
    """States of one direction, frame by frame (Cho et al., EMNLP 2014)."""
    w_in, w_state, b_in, b_state = (
        getattr(cell, f"{name}_l0{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    state, out = torch.zeros(cell.hidden_size), []
    for x in inputs:
        (r_in, z_in, n_in), (r, z, n) = (w_in @ x + b_in).chunk(3), (w_state @ state + b_state).chunk(3)
        reset, update = torch.sigmoid(r_in + r), torch.sigmoid(z_in + z)
        state = (1 - update) * torch.tanh(n_in + reset * n) + update * state
        out.append(state)
    return out


def test_tarm_is_the_equations() -> None:
    """Lift, sum of both directions of a GRU, frames weighed by the mean of what was lifted, back, residual."""
    torch.manual_seed(0)
    tarm = TARM(TARMConfig(hidden=4, reduction=2), Grid(2, 5, 3))
    x = torch.randn(1, 2, 5, 3)
    out = tarm(x)
    for channel, memory in enumerate(tarm.apart):
        frames = list(x[0, channel])
        seen = [memory.enter.weight @ frame + memory.enter.bias for frame in frames]
        ahead = gru(seen, memory.memory, "")
        back = gru(seen[::-1], memory.memory, "_reverse")[::-1]
        weights = excite(memory.weigh.weigh, torch.stack([frame.mean() for frame in seen]))
        for t in range(5):
            new = frames[t] + memory.leave.weight @ ((ahead[t] + back[t]) * weights[t]) + memory.leave.bias
            torch.testing.assert_close(out[0, channel, t], new)
    assert len(tarm.apart) == 2


def test_csta_is_each_frame_weight_times_each_joint_weight() -> None:
    torch.manual_seed(0)
    csta = CSTA(CSTAConfig(hidden=4, reduction=2), Grid(3, 5, 4))
    x = torch.randn(1, 3, 5, 4)

    def lifted(conv: nn.Conv2d, t: int, v: int) -> Tensor:
        return (conv.weight[:, :, 0, 0] @ x[0, :, t, v] + conv.bias).clamp(min=0).mean()

    joints = [torch.stack([lifted(csta.lift_joints[0], t, v) for t in range(5)]).mean() for v in range(4)]
    frames = [torch.stack([lifted(csta.lift_frames[0], t, v) for v in range(4)]).mean() for t in range(5)]
    alpha, beta = excite(csta.joints.weigh, torch.stack(joints)), excite(csta.frames.weigh, torch.stack(frames))
    out = csta(x)
    for t in range(5):
        for v in range(4):
            torch.testing.assert_close(out[0, :, t, v], x[0, :, t, v] * (1 + beta[t] * alpha[v]))


def test_mte_stands_in_a_residual_branch() -> None:
    torch.manual_seed(0)
    branch = MTEBranch(MTEConfig(dim=8), Grid(3, 5, 4))
    x = torch.randn(2, 3, 5, 4)
    inside = branch.mte(branch.enter(x.permute(0, 2, 3, 1)))
    assert isinstance(branch.mte, MTE)
    for t in range(5):
        torch.testing.assert_close(branch(x)[:, :, t], x[:, :, t] + branch.leave(inside[:, t]).transpose(1, 2))


def test_excitation_begins_awake_and_takes_other_lengths() -> None:
    """A vector stretched to twice its length has the weights of the original, stretched likewise."""
    torch.manual_seed(0)
    weigh = Excitation(8, 16)
    ramp = torch.linspace(-1, 1, 8)[None]
    assert weigh.weigh[0](ramp).min() > 0
    torch.testing.assert_close(weigh(ramp)[0], excite(weigh.weigh, ramp[0]))
    flat = torch.full((1, 16), 0.3)
    wide, narrow = weigh(flat), weigh(flat[:, :8])
    assert wide.shape == (1, 16)
    expected = [0.75 * narrow[0, i] + 0.25 * narrow[0, max(i - 1, 0)] for i in range(8)]
    torch.testing.assert_close(wide[0, ::2], torch.stack(expected))  # output 2 i lies a quarter before input i


@pytest.mark.parametrize("name", RECALIBRATIONS)
def test_a_clip_of_other_length_keeps_its_shape(name: str) -> None:
    kind = RECALIBRATIONS[name]
    module = kind(kind.Config(name=name), Grid(3, 8, 5))
    for frames in (1, 8, 12):
        out = module(torch.randn(2, 3, frames, 5))
        assert out.shape == (2, 3, frames, 5)
        assert out.isfinite().all()


def encoder(row: str, name: str, **options: object) -> SkeletonEncoder:
    torch.manual_seed(0)
    data = {"name": row, "size": "tiny", "recalibrate": {"name": name, **options}}
    config = parse_config(BACKBONES[row].Config, data, "test")
    return build_encoder(config, SBU, channels=3, num_frames=16, stream="joint")


def clips(net: Backbone) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(1)
    x = torch.randn(3, 3, 16, net.layout.num_joints, generator=source)
    return x, torch.rand(3, 8, net.layout.num_joints, generator=source) < 0.5


def learn(net: Backbone, x: Tensor) -> None:
    """Gradients of a sum with weights of both signs; a LayerNorm at the end keeps the plain sum of squares as it is."""
    out = net(x)
    (out * torch.randn(out.shape, generator=torch.Generator().manual_seed(2))).sum().backward()


@pytest.mark.parametrize("row", BACKBONES)
@pytest.mark.parametrize("name", RECALIBRATIONS)
def test_in_front_of_every_network(row: str, name: str) -> None:
    """It learns (but for coordinates that a network drops), it counts, and what is hidden still has no influence."""
    net = encoder(row, name).backbone
    x, mask = clips(net)
    learn(net, x)
    assert any(weight.grad is not None and weight.grad.any() for weight in net.recalibration.parameters())
    net.eval()
    hidden = mask.repeat_interleave(2, 1)[:, None].expand_as(x)
    with torch.no_grad():
        seen = net(x.masked_fill(hidden, 0.0), mask)
        assert torch.equal(seen, net(x=x.masked_fill(hidden, float("nan")), mask=mask))
        whole = net(x)
        net.recalibration[0] = nn.Identity()
        assert not torch.equal(whole, net(x))
        assert not torch.equal(net(x, mask), seen)


@pytest.mark.parametrize("row", BACKBONES)
@pytest.mark.parametrize("name", RECALIBRATIONS)
def test_every_weight_of_it_learns(row: str, name: str) -> None:
    net = encoder(row, name).backbone
    x, _ = clips(net)
    learn(net, x)
    asleep = {name for name, weight in net.recalibration.named_parameters() if not weight.grad.any()}
    assert all(
        row == "xshift" and name.startswith("0.apart.2.") for name in asleep
    )  # it draws two of three coordinates
    beside = {id(weight) for stage in net.stages() for weight in stage.parameters()}
    assert beside | {id(weight) for weight in net.recalibration.parameters()} == {id(w) for w in net.parameters()}
    assert not beside & {id(weight) for weight in net.recalibration.parameters()}


@pytest.mark.parametrize("row", BACKBONES)
def test_without_it_nothing_is_added(row: str) -> None:
    net = BACKBONES[row](BACKBONES.configs[row](size="tiny"), SBU, 3, 16)
    assert not [name for name in net.state_dict() if "recalibration" in name]
    assert not net._forward_pre_hooks


@pytest.mark.parametrize("row", BACKBONES)
@pytest.mark.parametrize("name", RECALIBRATIONS)
def test_a_network_leaves_its_recalibrations_their_own_start(
    row: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: dict[str, Tensor] = {}
    add = Backbone._add_recalibration

    def added(net: Backbone, config: RecalibrationConfig) -> None:
        add(net, config)
        begun.update({name: weight.detach().clone() for name, weight in net.recalibration.named_parameters()})

    monkeypatch.setattr(Backbone, "_add_recalibration", added)
    net = encoder(row, name).backbone
    now = dict(net.recalibration.named_parameters())
    assert now.keys() == begun.keys()
    assert all(torch.equal(now[name], begun[name]) for name in begun)


@pytest.mark.parametrize("name", RECALIBRATIONS)
def test_an_encoder_comes_back_with_it(name: str, tmp_path: Path) -> None:
    net = encoder("mpae_net", name).eval()
    save_encoder(tmp_path, net, EncoderCard.of(net))
    other, _ = load_encoder(tmp_path)
    x, present = torch.randn(2, 3, 16, SBU.num_joints, 2), torch.ones(2, 2, dtype=torch.bool)
    assert torch.equal(other.eval()(x, present), net(x, present))


@pytest.mark.parametrize("name", RECALIBRATIONS)
def test_it_traces_and_computes_in_bf16(name: str) -> None:
    torch.manual_seed(0)
    module, x = (
        RECALIBRATIONS[name](RECALIBRATIONS[name].Config(), Grid(3, 4, 5)),
        torch.randn(2, 3, 4, 5),
    )
    with torch.no_grad():
        full = module(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = module(x)
        assert (half.float() - full).norm() < 0.05 * full.norm()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*_flat_weights.*were assigned during export", UserWarning)
            program = torch.export.export(module, (x,))
        torch.testing.assert_close(program.module()(x), full)


def test_an_exported_encoder_is_recalibrated() -> None:
    net = DenseEncoder(encoder("csta_cnn", "csta")).eval()
    x, present = torch.randn(2, 3, 16, SBU.num_joints, 1), torch.ones(2, 1, dtype=torch.bool)
    with torch.no_grad():
        torch.testing.assert_close(torch.export.export(net, (x, present)).module()(x, present), net(x, present))


@pytest.mark.parametrize(
    ("row", "recalibrate", "message"),
    [
        ("mpae_net", {"name": "tarm", "at": [0, 1]}, r"recalibrate: at: \[0, 1\]: .* was removed.* leave at out"),
        ("mpae_net", {"name": "csta", "at": []}, r"recalibrate: at: \[\]: .* was removed.* leave at out"),
        ("mpae_net", {"name": "tram"}, "recalibrate.name: unknown 'tram'; did you mean 'tarm'"),
        ("mpae_net", {"name": "mte", "hidden": 3}, "hidden: unknown key"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_said_in_one_line(row: str, recalibrate: object, message: str) -> None:
    def build() -> SkeletonEncoder:
        data = {"name": row, "size": "tiny", "recalibrate": recalibrate}
        config = parse_config(BACKBONES[row].Config, data, "run.yaml")
        return build_encoder(config, SBU, channels=3, num_frames=16, stream="joint")

    with pytest.raises(UserError, match=message) as error:
        build()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", RECALIBRATIONS)
def test_its_weights_have_the_names_that_0_1_saved(name: str) -> None:
    names = [name for name in encoder("man", name).backbone.state_dict() if name.startswith("recalibration")]
    assert names
    assert all(name.startswith("recalibration.0.") for name in names)


def test_a_config_of_0_1_that_says_in_front_is_read() -> None:
    assert encoder("man", "csta", at=[0]).backbone.config == encoder("man", "csta").backbone.config


def test_yaml_and_overrides_reach_it(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("{name: man, recalibrate: {name: csta}}")
    config = load_config(BACKBONES["man"].Config, tmp_path / "net.yaml", ["recalibrate.hidden=8"])
    assert isinstance(config, BackboneConfig)
    assert config.recalibrate == CSTAConfig(hidden=8)


def test_wrong_shapes_are_refused_ahead_of_it() -> None:
    net = encoder("mpae_net", "tarm").backbone
    with pytest.raises(ValueError, match="x must be"):
        net(torch.randn(2, 2, 16, SBU.num_joints))
