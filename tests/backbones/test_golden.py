"""Each network against what its release's own module computes, through the weights' import."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_weights import clip, golden
from torch import Tensor, nn

from ssl_skel.backbones.configs.dsta_net import DSTANetConfig
from ssl_skel.backbones.configs.mixformer import FreqMixFormerConfig
from ssl_skel.backbones.configs.xshift import ArchSpec
from ssl_skel.backbones.ctr_gcn import start
from ssl_skel.backbones.dsta_net import DSTANet
from ssl_skel.backbones.freqmixformer import GROUPS, FrequencyMixing
from ssl_skel.backbones.mixformer import Block, halves
from ssl_skel.backbones.xshift import XShiftNet
from ssl_skel.encoders.files import load_encoder
from ssl_skel.layouts import LAYOUTS
from ssl_skel.pretexts.configs.psp import PSPConfig
from ssl_skel.pretexts.decoders import JointDecoder
from ssl_skel.pretexts.psp import PPA
from ssl_skel.released.graph_nets import temporal_scales_rules
from ssl_skel.released.importing import import_weights
from ssl_skel.released.release import Rule, absorbed, flat, renamed, same

NTU = LAYOUTS["ntu25"]
EVERY = {"mamp": 1, "st_gcn": 8, "ctr_gcn": 16, "infogcn": 16, "sttformer": 16, "slim": 4}
"""Releases, and that every so many channels of their features are kept."""


def assert_near(found: Tensor, released: np.ndarray) -> None:
    """Equal but for rounding: a hundred thousandth of the largest value."""
    expected = torch.from_numpy(released)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@torch.no_grad()
@pytest.mark.parametrize("release", EVERY)
def test_an_imported_release_gives_its_features(tmp_path: Path, release: str) -> None:
    state, outputs = golden(release)
    torch.save(state, tmp_path / "weights.pt")
    frames = {"mamp": 8, "sttformer": 12, "slim": 24}.get(release, 16)
    import_weights(release, tmp_path / "weights.pt", tmp_path / "encoder", frames=frames)
    encoder, _ = load_encoder(tmp_path / "encoder")
    found = encoder.eval().backbone(clip(2, 3, frames, 25, 1)[..., 0])
    assert_near(found[:, :: EVERY[release]], outputs["features"])


@torch.no_grad()
def test_slim_puts_its_token_in_place_of_what_is_hidden(tmp_path: Path) -> None:
    state, outputs = golden("slim")
    torch.save({"teacher": {f"backbone.{name}": tensor for name, tensor in state.items()}}, tmp_path / "weights.pt")
    import_weights("slim", tmp_path / "weights.pt", tmp_path / "encoder")
    encoder, _ = load_encoder(tmp_path / "encoder")
    hidden = (torch.arange(75) % 3 == 0).view(1, 3, 25).expand(2, -1, -1)
    assert_near(encoder.eval().backbone(clip(2, 3, 24, 25, 1)[..., 0], hidden)[:, ::4], outputs["masked"])


def mamp_decoder(small: float = 1.0) -> JointDecoder:
    """With the weights that MAMP's had; token and positions so much smaller."""
    given, _ = golden("mamp")
    decoder = JointDecoder(16, 16, 1, 8, (2, 25), 12, token=True)
    names = {"enter": "decoder_embed", "norm": "decoder_norm", "leave": "decoder_pred", "blocks": "decoder_blocks"}
    state = {
        name: given[name.replace(first, names[first], 1)]
        for name in decoder.state_dict()
        if (first := name.partition(".")[0]) in names
    }
    state |= {"token": given["mask_token"][0, 0] / small, "joint": given["decoder_pos_embed"][0, 0] / small}
    decoder.load_state_dict(state | {"time": given["decoder_temp_embed"][0] / small})
    return decoder


def test_the_decoder_is_mamps() -> None:
    """Where the mask token is small, a norm's eps is a part of the answer."""
    _, outputs = golden("mamp")
    features = torch.from_numpy(outputs["features"])
    hidden = (torch.arange(50) % 3 == 0).view(1, 2, 25).expand(2, -1, -1)
    assert_near(mamp_decoder()(features, hidden).detach(), outputs["predictions"])
    small = mamp_decoder(15)
    found = small(features / 50, hidden)
    found.square().mean().backward()
    assert_near(found.detach(), outputs["small_predictions"])
    assert small.token.grad is not None
    assert_near(small.token.grad, outputs["token_gradient"])


def test_ctr_gcn_starts_from_its_graph() -> None:
    _, outputs = golden("ctr_gcn")
    for layout in ("ntu25", "kinect20"):
        assert_near(start(LAYOUTS[layout]), outputs[f"start_{layout}"])


@torch.no_grad()
def test_psp_attends_as_its_release_does_without_biases() -> None:
    given, outputs = golden("psp")
    ppa = PPA(12, PSPConfig(heads=3), NTU)
    state = {}
    for level, theirs in (("body", "att_b"), ("part", "att_pb"), ("joint", "att_jpb")):
        state[f"qkv.{level}.weight"] = given[f"{theirs}.in_nets.weight"].flatten(1)
        state[f"leave.{level}.0.weight"] = given[f"{theirs}.ff_nets.0.weight"].flatten(1)
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            state[f"leave.{level}.1.norm.{part}"] = given[f"{theirs}.ff_nets.1.{part}"]
    ppa.load_state_dict(state)
    found = ppa.eval()(clip(3, 12, 4, 25))
    for level, vectors in found.items():
        assert_near(vectors, outputs[level])


@torch.no_grad()
def test_the_parts_of_freqmixformer_that_do_not_depart_are_its_releases() -> None:
    """A channel group's own map, the channel gate, and four of five temporal branches; mixed maps are uniform."""
    given, outputs = golden("freqmixformer")
    mixing = FrequencyMixing(FreqMixFormerConfig(), NTU, 16, 40, 6).eval()
    state = {f"values.{part}": given[f"spatial.conv.{part}"] for part in ("weight", "bias")}
    state |= {f"own.{part}": given[f"spatial.Spa_Att.linear.{part}"] for part in ("weight", "bias")}
    state |= {"gate.conv.weight": given["spatial.ChaRef_conv.weight"]}
    mixing.load_state_dict(state, strict=False)
    for value in mixing.cross.parameters():
        value.zero_()
    signal = halves(clip(2, 16, 6, 25), mixing.values, 3 * GROUPS).unflatten(1, (3, GROUPS))
    assert_near(mixing.mixed(signal.mean(4, keepdim=True))[:1], outputs["maps"])
    mean = torch.from_numpy(outputs["mixed_mean"])[..., None, None]
    assert_near(mixing.gate(mean).flatten(1), outputs["mixed_mean"] * outputs["gate"])

    block = Block(nn.Identity(), 20, 20, 6, 2, first=True).eval()
    rules = temporal_scales_rules("temporal.branches", "branches")
    rules = {name: rule for name, rule in rules.items() if not name.startswith("branches.3")}
    rules |= renamed("temporal.branches.4.0.conv", "branches.4.enter")
    rules |= renamed("temporal.branches.4.1", "branches.4.norm", norm=True)
    combine = "temporal.branches.4.0.combine_conv"
    rules["branches.4.combine.weight"] = Rule((f"{combine}.weight",), lambda weight: weight.flatten(1))
    rules["branches.4.combine.bias"] = Rule((f"{combine}.bias",), torch.clone)
    state = {ours: rule.make(*(given[name] for name in rule.names)) for ours, rule in rules.items()}
    block.load_state_dict(state, strict=False)
    for at in (0, 1, 2, 4):
        assert_near(block.branches[at](clip(2, 20, 6, 25))[:, ::3, :, ::4], outputs[f"branch{at}"])


@torch.no_grad()
@pytest.mark.parametrize("time", ["attention", "convolution"])
def test_dsta_net_is_its_release(time: str) -> None:
    given, outputs = golden("dsta_net")
    net = DSTANet(DSTANetConfig(size="tiny", patch=1, time=time), NTU, 3, 16).eval()
    rules = absorbed(f"{time}.input_map.0", f"{time}.input_map.1", "enter.0.0", "enter.0.1")
    layers = {"0.mix": "ff_nets", "0.attention.out": "out_nets", "0.skip": "downs1", "0.skip_mix": "downs2"}
    layers |= {"1.skip_mix": "downt2"}
    layers |= {"1.mix": "out_nett"} if time == "convolution" else {}
    layers |= {"1.mix": "ff_nett", "1.attention.out": "out_nett", "1.skip": "downt1"} if time == "attention" else {}
    for at, block in enumerate(net.blocks):
        for ours, theirs in layers.items():
            if isinstance(block.get_submodule(ours), nn.Sequential):
                mine, names = f"blocks.{at}.{ours}", f"{time}.graph_layers.{at}.{theirs}"
                rules |= absorbed(f"{names}.0", f"{names}.1", f"{mine}.0", f"{mine}.1")
        for half, axis in enumerate("st" if time == "attention" else "s"):
            mine, names = f"blocks.{at}.{half}.attention", f"{time}.graph_layers.{at}"
            rules |= renamed(f"{names}.in_net{axis}", f"{mine}.qk")
            rules[f"{mine}.alpha"] = Rule((f"{names}.alpha{axis}",), lambda tensor: tensor[0])
            if axis == "s":
                rules[f"{mine}.bias"] = Rule((f"{names}.attention0s",), lambda tensor: tensor[0])
    state = {ours: rule.make(*(given[name] for name in rule.names)) for ours, rule in rules.items()}
    state["hidden_token.token"] = net.hidden_token.token
    net.load_state_dict(state)
    assert_near(net(clip(2, 3, 16, 25, 1)[..., 0])[:, ::8], outputs[time])


@torch.no_grad()
def test_xshift_is_its_release() -> None:
    """Pictures in, so that shift, stages, excitation and the last layer are held; heat-maps are ours."""
    given, outputs = golden("xshift")
    net = XShiftNet(5, ArchSpec(1, (8, 16), (1, 2), 4, 36)).eval()
    layers, rules = {"stem": "conv1_s", "last": "conv5"}, {}
    for stage, blocks in enumerate(net.stages):
        for at, block in enumerate(blocks.blocks):
            ours, theirs = f"stages.{stage}.blocks.{at}", f"layer{stage + 1}.{at}"
            layers |= {f"{ours}.{mine}": f"{theirs}.conv{n}" for n, mine in enumerate(("expand", "look", "project"), 1)}
            if isinstance(block.skip, nn.Sequential):
                layers[f"{ours}.skip"] = f"{theirs}.downsample"
            if block.excite is not None:
                for mine, layer in ((0, "fc1"), (2, "fc2")):
                    gate, source = f"{ours}.excite.gate.{mine}", f"{theirs}.se_module.{layer}"
                    rules |= {f"{gate}.weight": flat(f"{source}.weight"), f"{gate}.bias": same(f"{source}.bias")}
    for ours, theirs in layers.items():
        rules |= renamed(f"{theirs}.bn", f"{ours}.1", norm=True)
        rules[f"{ours}.0.weight"] = Rule((f"{theirs}.conv.weight",), lambda weight: weight.squeeze(2))
    net.load_state_dict({ours: rule.make(*(given[name] for name in rule.names)) for ours, rule in rules.items()})
    assert_near(net(clip(2, 5, 4, 12, 12))[:, ::3], outputs["features"])
