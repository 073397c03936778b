"""The spatio-temporal transformer against loops over tokens and heads; what it drops, costs and refuses."""

from __future__ import annotations

import math

import pytest
import torch
from skeletons import DOT, HAND
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ssl_skel.backbones.configs.st_transformer import STTransformerConfig
from ssl_skel.backbones.st_transformer import STTransformer
from ssl_skel.config import parse_config
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout


def network(frames: int = 8, **options: object) -> STTransformer:
    torch.manual_seed(0)
    config = STTransformerConfig.model_validate({"width": 8, "depth": 2, "heads": 2, "patch": 4, **options})
    net = STTransformer(config, HAND, 3, frames).double()
    for weight in net.parameters():  # biases and norms start at 0 and 1, where an error would not show
        nn.init.normal_(weight, std=0.4)
    return net.eval()


def normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    centred = x - sum(x) / len(x)
    return centred / (sum(centred**2) / len(x) + norm.eps).sqrt() * norm.weight + norm.bias


def block_loop(block: nn.Module, tokens: list[Tensor]) -> list[Tensor]:
    """Attention with a residual, then an MLP with a residual, each behind a LayerNorm; token by token, head by head."""
    attention, mlp = block.attn, block.mlp
    width = attention.qkv.in_features
    size = width // attention.num_heads
    inner = [attention.qkv.weight @ normed(x, block.norm1) + attention.qkv.bias for x in tokens]
    out = []
    for i, x in enumerate(tokens):
        heads = []
        for start in range(0, width, size):
            query = inner[i][start : start + size]
            keys = [y[width + start : width + start + size] for y in inner]
            values = [y[2 * width + start : 2 * width + start + size] for y in inner]
            scores = [math.exp(float(query @ key) / math.sqrt(size)) for key in keys]
            heads.append(sum(score / sum(scores) * value for score, value in zip(scores, values, strict=True)))
        x = x + attention.proj.weight @ torch.cat(heads) + attention.proj.bias
        hidden = mlp.fc1.weight @ normed(x, block.norm2) + mlp.fc1.bias
        hidden = torch.stack([value * 0.5 * (1 + math.erf(float(value) / math.sqrt(2))) for value in hidden])
        out.append(x + mlp.fc2.weight @ hidden + mlp.fc2.bias)
    return out


def network_loop(net: STTransformer, x: Tensor, hidden: Tensor) -> Tensor:
    """One person (C, T, V), hidden (T, V): only tokens without a hidden frame exist; zeros at the others' positions."""
    patch, (_, frames, joints) = net.t_stride, x.shape
    positions, tokens = [], []
    for t in range(frames // patch):
        for v in range(joints):
            at = range(t * patch, (t + 1) * patch)
            if any(hidden[f, v] for f in at):
                continue
            values = torch.cat([x[:, f, v] for f in at])
            positions.append((t, v))
            tokens.append(net.embed.lift.weight @ values + net.embed.lift.bias + net.embed.time[t] + net.embed.joint[v])
    for block in net.blocks:
        tokens = block_loop(block, tokens)
    out = torch.zeros(net.dim, frames // patch, joints, dtype=x.dtype)
    for (t, v), token in zip(positions, tokens, strict=True):
        out[:, t, v] = normed(token, net.norm)
    return out


@torch.no_grad()
def test_it_is_the_equations() -> None:
    net, x = network(), torch.randn(2, 3, 8, 3, dtype=torch.float64)
    expected = [network_loop(net, person, torch.zeros(8, 3)) for person in x]
    torch.testing.assert_close(net(x), torch.stack(expected))


@torch.no_grad()
@pytest.mark.parametrize("unit", [1, 4, 8])
def test_it_computes_on_what_is_visible_only(unit: int) -> None:
    """Persons with few, with many and with no visible tokens, side by side; one hidden frame hides a token."""
    net, x = network(16), torch.randn(4, 3, 16, 3, dtype=torch.float64)
    mask = torch.rand(4, 16 // unit, 3, generator=torch.Generator().manual_seed(1)) < 0.3 / (4 // min(unit, 4))
    mask[1], mask[2], mask[3, 0, 0] = True, False, True
    hidden = mask.repeat_interleave(unit, 1)
    expected = [network_loop(net, person, gone) for person, gone in zip(x, hidden, strict=True)]
    assert len({int((grid == 0).all(0).sum()) for grid in expected}) > 2
    torch.testing.assert_close(net(x, mask), torch.stack(expected))


def test_gradients_are_finite_beside_a_person_without_anything_visible() -> None:
    net = network().train()
    mask = torch.tensor([True, False])[:, None, None].expand(2, 2, 3)
    net(torch.randn(2, 3, 8, 3, dtype=torch.float64), mask).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in net.parameters())


def test_base_has_the_published_size() -> None:
    """Encoder of MAMP on NTU: 6.34 M parameters; 1.97 GFLOPs for two persons, 120 frames, nine tokens of ten hidden.

    Those FLOPs are two a multiply-add, as torch's counter has them. A head is not among them.
    """
    net = STTransformer(STTransformerConfig(), LAYOUTS["ntu25"], 3, 120).eval()
    assert abs(sum(weight.numel() for weight in net.parameters()) / 6.34e6 - 1) < 0.01
    mask = (torch.rand(2, 750).argsort(1) >= 75).view(2, 30, 25)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.randn(2, 3, 120, 25), mask)
    assert abs(counter.get_total_flops() / 1.97e9 - 1) < 0.02
    assert (len(net.blocks), net.dim, net.t_stride, net.blocks[0].attn.num_heads) == (8, 256, 4, 8)
    assert net.blocks[0].attn.fused_attn


def test_it_starts_as_maes_code_does() -> None:
    net = STTransformer(STTransformerConfig(size="small"), LAYOUTS["ntu25"], 3, 16)
    for layer in (layer for layer in net.modules() if isinstance(layer, nn.Linear)):
        assert not layer.bias.any()
        bound = math.sqrt(6 / sum(layer.weight.shape))
        assert 0.98 * bound < float(layer.weight.detach().abs().max()) <= bound
    assert float(net.embed.joint.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert float(net.embed.time.detach().std()) == pytest.approx(0.02, rel=0.2)


@torch.no_grad()
def test_positions_of_other_lengths_lie_between_the_learned_ones() -> None:
    embed = network(16).embed  # four times
    for times in (1, 4, 6, 9):
        positions = embed.positions(times).unflatten(0, (times, 3))
        for t in range(times):
            at = min(max((t + 0.5) * 4 / times - 0.5, 0.0), 3.0)  # the middle of the patch, in learned times
            low = min(int(at), 2)
            time = embed.time[low] + (at - low) * (embed.time[low + 1] - embed.time[low])
            torch.testing.assert_close(positions[t], time + embed.joint)


@pytest.mark.parametrize("skeleton", [DOT, HAND], ids=lambda layout: layout.name)
def test_one_frame_and_few_joints(skeleton: SkeletonLayout) -> None:
    net = STTransformer(STTransformerConfig(size="tiny", patch=1), skeleton, 2, 1)
    x, hidden = torch.randn(2, 2, 1, skeleton.num_joints), torch.zeros(2, 1, skeleton.num_joints, dtype=torch.bool)
    hidden[0] = True
    assert net(x).shape == (2, net.dim, 1, skeleton.num_joints)
    out = net(x, hidden)
    assert not out[0].any()
    out.sum().backward()


def test_drop_path_is_for_training_and_rises_with_depth() -> None:
    net = network(depth=4, drop_path=0.3)
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in net.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert [getattr(block.drop_path2, "drop_prob", 0.0) for block in net.blocks] == rates
    x = torch.randn(16, 3, 8, 3, dtype=torch.float64)
    still = network(depth=4)
    still.load_state_dict(net.state_dict())
    assert torch.equal(net(x), still(x))
    assert not torch.equal(net.train()(x), still(x))


def test_stages_run_from_input_to_output_and_the_last_norm_goes_with_the_last_block() -> None:
    net = network(depth=3)
    assert [len(list(stage.parameters())) for stage in net.stages()] == [4, 12, 12, 14]
    assert net.stages()[0] is net.embed
    assert net.final_norm() is net.norm


def test_without_a_mask_it_is_a_fixed_graph_for_any_batch() -> None:
    net = network().float()
    free = {"x": {0: torch.export.Dim("batch", max=64)}, "mask": None}
    program = torch.export.export(net, (torch.randn(3, 3, 8, 3), None), dynamic_shapes=free).module()
    for batch in (1, 5):
        x = torch.randn(batch, 3, 8, 3)
        torch.testing.assert_close(program(x, None), net(x))


def test_a_tiny_network_learns_a_batch_by_heart() -> None:
    torch.manual_seed(0)
    net = STTransformer(STTransformerConfig(size="tiny"), LAYOUTS["sbu15"], 3, 16)
    head = nn.Linear(net.dim, 8)
    optimiser = torch.optim.AdamW([*net.parameters(), *head.parameters()], lr=5e-3)
    x, label = torch.randn(16, 3, 16, 15), torch.arange(16) % 8
    for _ in range(60):
        loss = nn.functional.cross_entropy(head(net(x).mean((2, 3))), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "bas"}, "size: unknown 'bas'; did you mean 'base'"),
        ({"heads": 7}, "width 256: must be a multiple of heads = 7"),
        ({"size": "small", "width": 30}, "width 30: must be a multiple of heads = 4"),
        ({"depth": 0}, "depth: input should be greater than or equal to 1"),
        ({"drop_path": 1.0}, "drop_path: input should be less than 1"),
        ({"dept": 2}, "dept: unknown key; did you mean 'depth'"),
    ],
)
def test_a_config_that_cannot_be_built_says_why(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_config(STTransformerConfig, {"name": "st_transformer", **options}, "run.yaml")
