"""What both FreqMixFormers are built of, against naive loops, and that both take any skeleton and length."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from skeletons import DOT
from torch import Tensor, nn

from ssl_skel.backbones.freqmixformer import FreqMixFormer
from ssl_skel.backbones.freqmixformer_v2 import FreqMixFormerV2
from ssl_skel.backbones.mixformer import (
    Block,
    ChannelGate,
    MixFormer,
    SequenceGate,
    SidePath,
    Spectrum,
    TemporalTransformer,
    apply_maps,
    halves,
    relate,
)
from ssl_skel.config import parse_config
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout

SBU = LAYOUTS["sbu15"]
ROWS = [FreqMixFormer, FreqMixFormerV2]


def build(row: type[MixFormer], layout: SkeletonLayout, frames: int, **options: Any) -> MixFormer:
    torch.manual_seed(0)
    return row(row.Config(**{"size": "tiny", **options}), layout, 3, frames)


@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_the_transform_is_the_equation_and_its_transpose_the_inverse(length: int) -> None:
    """Sec. 3.2, one coefficient and frame at a time; also where another length was expected."""
    signal = torch.randn(length)
    for spectrum in (Spectrum(length, 0.5), Spectrum(16, 0.5)):
        basis = spectrum.basis(length)
        for i in range(1, length + 1):
            told = [
                signal[f - 1] / math.sqrt(1 + (i == 1)) * math.cos(math.pi * (2 * f - 1) * (i - 1) / (2 * length))
                for f in range(1, length + 1)
            ]
            torch.testing.assert_close((basis @ signal)[i - 1], math.sqrt(2 / length) * sum(told))
        torch.testing.assert_close(basis.T @ basis @ signal, signal)
    assert not Spectrum(length, 0.5).state_dict()


@pytest.mark.parametrize(("length", "cut", "low"), [(25, 0.5, 13), (64, 0.5, 32), (1, 0.5, 1), (8, 0, 0), (8, 1, 8)])
def test_the_cut_is_that_of_the_released_code(length: int, cut: float, low: int) -> None:
    assert Spectrum(4, cut).high(length).tolist() == [0.0] * low + [1.0] * (length - low)


def test_a_filter_scales_coefficients() -> None:
    spectrum, signal, gain = Spectrum(6, 0.5), torch.randn(6), torch.rand(2, 6)
    basis = spectrum.basis(6)
    for row in range(2):
        coefficients = [basis[i].dot(signal) * gain[row, i] for i in range(6)]
        told = sum(coefficient * basis[i] for i, coefficient in enumerate(coefficients))
        torch.testing.assert_close(spectrum.filter(6, gain)[row] @ signal, told)


def test_queries_and_keys_are_means_of_projected_halves() -> None:
    project, x = nn.Conv2d(5, 12, 1), torch.randn(2, 5, 3, 4)
    signal, values = halves(x, project, 2), project(x)
    for group in range(2):
        for half in range(2):
            start = 6 * group + 3 * half
            told = (values[:, start] + values[:, start + 1] + values[:, start + 2]) / 3
            torch.testing.assert_close(signal[:, group, half], told)


@pytest.mark.parametrize("coefficients", [1, 3])
def test_a_map_relates_each_query_to_every_key(coefficients: int) -> None:
    query, key = torch.randn(2, coefficients, 4), torch.randn(2, coefficients, 4)
    maps = relate(query, key)
    for b in range(2):
        for i in range(4):
            scores = [query[b, :, i].dot(key[b, :, j]) / math.sqrt(coefficients) for j in range(4)]
            torch.testing.assert_close(maps[b, i], torch.stack(scores).softmax(0))


def test_maps_gather_values_of_their_group() -> None:
    count, groups, width, frames, joints, rows = 3, 2, 2, 3, 4, 5
    maps, values = torch.randn(2, count, groups, rows, joints), torch.randn(2, count * groups * width, frames, joints)
    out = apply_maps(maps, values)
    assert out.shape == (2, groups * width, frames, rows)
    for g in range(groups):
        for c in range(width):
            for t in range(frames):
                told = sum(
                    maps[:, k, g, :, j] * values[:, (k * groups + g) * width + c, t, j, None]
                    for k in range(count)
                    for j in range(joints)
                )
                torch.testing.assert_close(out[:, g * width + c, t], told)


def test_a_channel_is_weighed_by_its_neighbours() -> None:
    gate, x = ChannelGate(), torch.randn(2, 4, 3, 2)
    weight, means = gate.conv.weight[0, 0], nn.functional.pad(x.mean((2, 3)), (1, 1))
    for c in range(4):
        score = sum(weight[tap] * means[:, c + tap] for tap in range(3))
        torch.testing.assert_close(gate(x)[:, c], x[:, c] * (1 + score.sigmoid())[:, None, None])


@pytest.mark.parametrize("stride", [1, 2])
def test_the_temporal_transformer_is_its_equations(stride: int) -> None:
    torch.manual_seed(0)
    layer, x = TemporalTransformer(5, 4, 6 // stride, stride).eval(), torch.randn(2, 5, 6, 3)
    value = layer.enter(x)[0]
    frames = range(6 // stride)
    lifted = nn.functional.conv2d(x[:, :, ::stride], layer.enter.weight, layer.enter.bias)[0]
    torch.testing.assert_close(value, lifted)
    query = torch.stack([value[:2, t].mean() for t in frames])
    key = torch.stack([value[2:, t].max() for t in frames])
    query, key = (nn.functional.leaky_relu(layer.linear(pooled), 0.1) for pooled in (query, key))
    told = [sum((query[t] * key[s]).sigmoid() * value[:, s] for s in frames) / len(frames) for t in frames]
    torch.testing.assert_close(layer(x)[:1], layer.norm(torch.stack(told, 1)[None]))


def test_a_slower_clip_meets_the_same_function_of_time() -> None:
    """Every frame twice: with weights that are constant along time the result is the same, twice."""
    layer, x = TemporalTransformer(5, 4, 6, 1).eval(), torch.randn(2, 5, 6, 3)
    nn.init.constant_(layer.linear.weight, 0.3)
    nn.init.constant_(layer.linear.bias, -0.1)
    torch.testing.assert_close(layer(x.repeat_interleave(2, 2)), layer(x).repeat_interleave(2, 2))
    weight = layer.linear.weight.data = torch.arange(6.0)[:, None].repeat(1, 6)
    told = layer.along_time(torch.ones(1, 3))[0] + 0.1
    torch.testing.assert_close(told, 6 * (weight[0::2, 0] + weight[1::2, 0]) / 2)


def test_the_sequence_gate_weighs_frames() -> None:
    torch.manual_seed(0)
    gate, x = SequenceGate(5, 4, 2).eval(), torch.randn(2, 5, 6, 3)
    value = gate.enter(x)
    told = torch.empty_like(value)
    for b in range(2):
        for t in range(3):
            frame = value[b, :, t]
            score = gate.combine.weight[0, 0] * frame.mean() + gate.combine.weight[0, 1] * frame.max()
            told[b, :, t] = frame * (score + gate.combine.bias).sigmoid()
    torch.testing.assert_close(gate(x), gate.norm(told))


@pytest.mark.parametrize(("dim_in", "stride", "first"), [(10, 1, True), (10, 1, False), (5, 1, False), (10, 2, False)])
def test_a_block_joins_its_branches_and_adds_its_input(dim_in: int, stride: int, first: bool) -> None:
    torch.manual_seed(0)
    spatial = nn.Conv2d(dim_in, 10, 1)
    block, x = Block(spatial, dim_in, 10, 6, stride, first).eval(), torch.randn(2, dim_in, 6, 3)
    told = torch.cat([branch(spatial(x)) for branch in block.branches], 1)
    assert [branch(spatial(x)).shape[1] for branch in block.branches] == [2] * 5
    if not first:
        told = told + (x if (dim_in, stride) == (10, 1) else block.skip(x))
    torch.testing.assert_close(block(x), told.relu())


def test_a_side_path_averages_frames_then_projects() -> None:
    path, x = SidePath(5, 10, 2).eval(), torch.randn(2, 5, 6, 3)
    told = torch.stack([(x[:, :, 2 * t] + x[:, :, 2 * t + 1]) / 2 for t in range(3)], 2)
    torch.testing.assert_close(path(x), path.project(told))


@pytest.mark.parametrize("row", ROWS)
def test_the_network_is_embedding_blocks_and_side_paths(row: type[MixFormer]) -> None:
    net = build(row, SBU, 8).eval()
    net.norm.running_mean.normal_()
    x = torch.randn(2, 3, 8, SBU.num_joints)
    rows = torch.empty(2, 40, 4, SBU.num_joints)
    for t in range(4):
        for v in range(SBU.num_joints):
            coordinates = torch.cat([x[:, c, 2 * t : 2 * t + 2, v] for c in range(3)], 1)
            lifted = coordinates @ net.embed.weight[:, :, 0, 0].T
            at = slice(40 * v, 40 * v + 40)
            shifted = (lifted - net.norm.running_mean[at]) / (net.norm.running_var[at] + net.norm.eps).sqrt()
            rows[:, :, t, v] = shifted * net.norm.weight[at] + net.norm.bias[at]
    first = net.blocks[0](rows)
    told = net.blocks[1](first) + net.sides["1"](first)
    torch.testing.assert_close(net(x), told, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("row", ROWS)
def test_base_has_the_released_blocks(row: type[MixFormer]) -> None:
    with torch.device("meta"):
        net = build(row, LAYOUTS["ntu25"], 64, size="base")
    assert [block.spatial.norm.num_features for block in net.blocks] == [80] * 4 + [160] * 3 + [320] * 3
    assert [block.branches[3].linear.in_features for block in net.blocks] == [64] * 4 + [32] * 3 + [16] * 3
    assert {at: path.pool.kernel_size for at, path in net.sides.items()} == {"4": (4, 1), "7": (2, 1)}
    assert net.t_stride == 4


@pytest.mark.parametrize("layout", [DOT, SBU], ids=lambda layout: layout.name)
@pytest.mark.parametrize("axis", ["time", "joint"])
@pytest.mark.parametrize("row", ROWS)
def test_a_single_joint_a_single_frame_and_other_lengths(
    row: type[MixFormer], axis: str, layout: SkeletonLayout
) -> None:
    net = build(row, layout, 2, patch=1, dct_axis=axis)
    for frames in (2, 6):
        out = net(torch.randn(2, 3, frames, layout.num_joints))
        assert out.shape == (2, net.dim, frames // 2, layout.num_joints)
        assert out.isfinite().all()
    out.sum().backward()


@pytest.mark.parametrize("row", ROWS)
def test_it_traces(row: type[MixFormer]) -> None:
    net, x = build(row, SBU, 16).eval(), torch.randn(2, 3, 16, SBU.num_joints)
    traced = torch.export.export(net, (x,)).module()
    torch.testing.assert_close(traced(x), net(x))


@pytest.mark.parametrize("axis", ["time", "joint"])
@pytest.mark.parametrize("row", ROWS)
def test_frames_out_of_order_differ(row: type[MixFormer], axis: str) -> None:
    net, x = build(row, SBU, 16, dct_axis=axis).eval(), torch.randn(1, 3, 16, SBU.num_joints)
    assert not torch.allclose(net(x).mean((2, 3)), net(x.flip(2)).mean((2, 3)), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dct_axis": "frame"}, "dct_axis: unknown 'frame'"),
        ({"cut": 1.5}, "cut: input should be less than or equal to 1"),
        ({"patch": 0}, "patch"),
        ({"phi": 1.0}, "phi: input should be less than 1"),
    ],
)
def test_a_config_that_cannot_be_built_says_why(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_config(FreqMixFormer.Config, {"name": "freqmixformer", **options}, "run.yaml")


def test_axis_and_cut_matter() -> None:
    x = torch.randn(1, 3, 16, SBU.num_joints)
    for row in ROWS:
        outs: list[Tensor] = [
            build(row, SBU, 16, **options).eval()(x) for options in ({}, {"dct_axis": "joint"}, {"cut": 0.2})
        ]
        assert not torch.allclose(outs[0], outs[1])
        assert not torch.allclose(outs[0], outs[2])
