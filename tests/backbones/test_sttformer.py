"""STTFormer: attention within tuples against a loop that follows the released code, its layers, and the budget."""

from __future__ import annotations

import math

import pytest
import torch
from skeletons import DOT
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ssl_skel.backbones.configs.sttformer import STTFormerConfig
from ssl_skel.backbones.sttformer import Block, STTFormer, TupleAttention, position_code
from ssl_skel.config import parse_config
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout

SBU = LAYOUTS["sbu15"]


def test_positions_are_sines_and_cosines_of_the_token() -> None:
    code = position_code(5, 6)
    for token in range(5):
        for pair in range(3):
            angle = token / 10000 ** (2 * pair / 6)
            assert code[2 * pair, 0, token].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert code[2 * pair + 1, 0, token].item() == pytest.approx(math.cos(angle), abs=1e-6)


def attention_loop(layer: TupleAttention, x: Tensor, heads: int, width: int) -> Tensor:
    """One person: x (D, N, L) -> (dim, N, L) before the norm; one head, pair of tokens and tap at a time."""
    dim_in, tuples, tokens = x.shape
    code = position_code(tokens, dim_in)[:, 0]
    project, shift = layer.qk.weight.view(2, heads, width, dim_in), layer.qk.bias.view(2, heads, width)
    seen = torch.zeros(heads, dim_in, tuples, tokens)
    for h in range(heads):
        for i in range(tokens):
            for j in range(tokens):
                score = torch.tensor(0.0)
                for n in range(tuples):
                    q = project[0, h] @ (x[:, n, i] + code[:, i]) + shift[0, h]
                    k = project[1, h] @ (x[:, n, j] + code[:, j]) + shift[1, h]
                    score = score + q.dot(k)
                share = layer.alpha[h, 0] * torch.tanh(score / (width * tuples)) + layer.bias[i, h, j]
                seen[h, :, :, i] += share * x[:, :, j]
    weight = layer.out[0].weight[:, :, 0]  # (dim, heads * dim_in, 5)
    out = torch.zeros(len(weight), tuples, tokens)
    for i in range(tokens):
        for tap in range(5):
            if 0 <= i + tap - 2 < tokens:
                out[:, :, i] += weight[:, :, tap] @ seen[..., i + tap - 2].flatten(0, 1)
    return out


def test_attention_is_the_equations() -> None:
    torch.manual_seed(0)
    layer, x = TupleAttention(4, 6, 3, 2, 5).eval(), torch.randn(2, 4, 3, 5)
    torch.testing.assert_close(layer.bias, torch.full((5, 2, 5), 1 / 5))
    torch.testing.assert_close(layer.alpha, torch.ones(2, 1))
    nn.init.normal_(layer.bias)
    nn.init.normal_(layer.alpha)
    for person in range(2):
        expected = layer.out[1](attention_loop(layer, x[person], 2, 3)[None])
        torch.testing.assert_close(layer(x)[person : person + 1], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dim", [4, 8])
def test_a_block_adds_its_input_twice_then_looks_at_three_tuples(dim: int) -> None:
    torch.manual_seed(0)
    block, x = Block(4, dim, 2, 5).eval(), torch.randn(2, 4, 4, 5)
    relu, skip = nn.LeakyReLU(0.1), x if dim == 4 else block.skip(x)
    y = relu(block.attention(x) + skip)
    y = relu(block.mix(y) + skip)
    weight, norm = block.between[0].weight[..., 0], block.between[1]
    told = torch.zeros_like(y)
    for n in range(4):
        for tap in range(3):
            if 0 <= n + tap - 1 < 4:
                told[:, :, n] += torch.stack([weight[:, :, tap] @ person[:, n + tap - 1] for person in y])
    expected = relu(norm(told) + (y if dim == 4 else block.skip_between(y)))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)
    assert isinstance(block.skip, nn.Identity) == (dim == 4)


@pytest.mark.parametrize("patch", [1, 2])
def test_a_token_is_a_joint_at_a_moment_and_the_output_the_mean_of_a_tuple(patch: int) -> None:
    torch.manual_seed(0)
    net = STTFormer(STTFormerConfig(size="tiny", tuple_frames=4, patch=patch), SBU, 3, 8).eval()
    net.blocks = nn.ModuleList()
    x = torch.randn(2, 3, 8, SBU.num_joints)
    out = net(x)
    assert out.shape == (2, 16, 2, SBU.num_joints)
    for n in range(2):
        for v in range(SBU.num_joints):
            moments = [x[:, :, t : t + patch, v].flatten(1) for t in range(4 * n, 4 * n + 4, patch)]
            lifted = [net.enter(moment[:, :, None, None])[..., 0, 0] for moment in moments]
            torch.testing.assert_close(out[:, :, n, v], sum(lifted) / len(lifted), rtol=1e-4, atol=1e-5)


def test_maps_number_frames_before_joints() -> None:
    """Token i is joint i mod V of frame i div V: with a map that keeps frame 1 alone, only frame 1 counts."""
    torch.manual_seed(0)
    net = STTFormer(STTFormerConfig(size="tiny", tuple_frames=2, patch=1), SBU, 3, 2).eval()
    attention = net.blocks[0].attention
    nn.init.zeros_(attention.alpha)
    nn.init.zeros_(attention.bias)
    with torch.no_grad():
        attention.bias[:, :, SBU.num_joints :] = 1.0
    x = torch.randn(1, 3, 2, SBU.num_joints)
    first, second = x.clone(), x.clone()
    first[:, :, 0] += 1
    second[:, :, 1] += 1

    def seen(clip: Tensor) -> Tensor:
        return attention(net.enter(clip.flatten(2)[:, :, None]))

    torch.testing.assert_close(seen(first), seen(x))
    assert not torch.allclose(seen(second), seen(x))


def test_base_has_the_released_layers() -> None:
    """Parameters and multiply-adds of two persons, T = 120, as follow from the released code's layers: 6.2 M, 38 G."""
    widths, heads, tokens, tuples = (64, 64, 128, 128, 256, 256, 256, 256), 3, 150, 20
    parameters, operations, dim_in = 3 * 64 + 60 * 256, 3 * 64 * tokens * tuples, 64
    for dim in widths:
        d = dim // 4
        weights = 2 * heads * d * dim_in + 5 * heads * dim_in * dim + dim**2 + 3 * dim**2
        weights += dim * (dim_in + dim) if dim != dim_in else 0
        parameters += weights + heads * tokens**2
        operations += weights * tokens * tuples + heads * tokens**2 * tuples * (d + dim_in)
        dim_in = dim
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        net, head = STTFormer(STTFormerConfig(), LAYOUTS["ntu25"], 3, 120), nn.Linear(256, 60)
        net(torch.empty(2, 3, 120, 25))
    assert sum(weight.numel() for weight in [*net.parameters(), *head.parameters()]) == pytest.approx(
        parameters, rel=0.1
    )
    assert counter.get_total_flops() / 2 == pytest.approx(2 * operations, rel=0.1)
    assert parameters == pytest.approx(6.2e6, rel=0.01)
    assert 2 * operations == pytest.approx(38e9, rel=0.01)
    assert net.t_stride == 6


@pytest.mark.parametrize("layout", [DOT, SBU], ids=lambda layout: layout.name)
def test_a_single_joint_and_a_single_frame(layout: SkeletonLayout) -> None:
    net = STTFormer(STTFormerConfig(size="tiny", tuple_frames=1, patch=1), layout, 2, 1)
    out = net(torch.randn(2, 2, 1, layout.num_joints))
    assert out.shape == (2, net.dim, 1, layout.num_joints)
    out.sum().backward()


@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_any_whole_number_of_tuples(size: str) -> None:
    net = STTFormer(STTFormerConfig.model_validate({"size": size}), SBU, 3, 48).eval()
    for frames in (net.t_stride, 3 * net.t_stride):
        assert net(torch.randn(1, 3, frames, SBU.num_joints)).shape[2] == frames // net.t_stride


def test_it_traces() -> None:
    net = STTFormer(STTFormerConfig(size="tiny"), SBU, 3, 16).eval()
    x = torch.randn(2, 3, 16, SBU.num_joints)
    traced = torch.export.export(net, (x,)).module()
    torch.testing.assert_close(traced(x), net(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 4}, "patch 4 must divide tuple_frames 6"),
        ({"tuple_frames": 0}, "tuple_frames"),
        ({"tuple_frame": 6}, "tuple_frame: unknown key; did you mean 'tuple_frames'"),
    ],
)
def test_a_config_that_cannot_be_built_says_why(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_config(STTFormerConfig, {"name": "sttformer", **options}, "run.yaml")
