"""MPAE-Net: every equation against a loop that follows the paper, the budget, and that it learns."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from skeletons import DOT, HAND
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ssl_skel.backbones import position_attention as module
from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.backbones.mpae_net import MPA, MTE, PPE, Layer, MPAENet, PlainAttention, PlainTime, PositionAttention
from ssl_skel.backbones.position_attention import Weights, position_attention
from ssl_skel.config import parse_config
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout

SBU = LAYOUTS["sbu15"]


def attention_loop(x: Tensor, weights: Weights) -> Tensor:
    """Sec. 3.2, one frame, token, head and pair of tokens at a time."""
    project, pq, pk, pv, graph, gate, bias = weights
    heads, tokens, width = len(graph), len(pq), pq.shape[-1]
    out = []
    for frame in x:
        qkv = [(project @ token).view(3, heads, width) for token in frame]
        for i in range(tokens):
            for h in range(heads):
                q = qkv[i][0, h]
                w = torch.sigmoid((q * gate).sum() + bias[0])
                scores = []
                for j in range(tokens):
                    k = qkv[j][1, h]
                    scores.append(w * q.dot(k) + (1 - w) * (q.dot(pq[i, j]) + k.dot(pk[i, j])))
                share = (torch.stack(scores) / math.sqrt(width)).softmax(0)
                told = [(share[j] + graph[h, i, j]) * (qkv[j][2, h] + pv[i, j]) for j in range(tokens)]
                out.append(torch.stack(told).sum(0).sigmoid())
    return torch.stack(out).view(len(x), tokens, heads * width)


def random_attention(frames: int, tokens: int, heads: int, width: int, dim: int) -> tuple[Tensor, Weights]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=source, requires_grad=True)

    source = torch.Generator().manual_seed(frames + tokens)
    pairs = [draw(tokens, tokens, width) for _ in range(3)]
    project = draw(3 * heads * width, dim)
    return draw(frames, tokens, dim), Weights(project, *pairs, draw(heads, tokens, tokens), draw(width), draw(1))


@given(*[st.integers(1, high) for high in (5, 6, 3, 4, 4)])
@settings(max_examples=12, deadline=None)
def test_attention_and_its_gradient_are_the_equations(
    frames: int, tokens: int, heads: int, width: int, dim: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SWEEP", heads * tokens**2)  # a frame a thread and sweep
        x, weights = random_attention(frames, tokens, heads, width, dim)
        out, expected = position_attention(x, weights), attention_loop(x, weights)
        torch.testing.assert_close(out, expected)
        factor = torch.randn_like(out)
        got, wanted = (torch.autograd.grad(y, (x, *weights), factor) for y in (out, expected))
        torch.testing.assert_close(got, wanted)


def test_wide_heads_are_the_same_equations() -> None:
    """From 16 numbers a head on, products are computed the other way round."""
    x, weights = random_attention(2, 3, 1, 16, 2)
    out, expected = position_attention(x, weights), attention_loop(x, weights)
    factor = torch.randn_like(out)
    got, wanted = (torch.autograd.grad(y, (x, *weights), factor) for y in (out, expected))
    torch.testing.assert_close((out, *got), (expected, *wanted))


def test_attention_gradient_is_the_numerical_one() -> None:
    x, weights = random_attention(3, 4, 2, 3, 2)
    assert torch.autograd.gradcheck(lambda y, *rest: position_attention(y, Weights(*rest)), (x, *weights))


def test_graph_starts_from_the_bones() -> None:
    branch = PositionAttention(8, 8, 2, torch.from_numpy(SBU.adjacency("joint")))
    row = branch.graph[0, SBU.joints.index("left_elbow")]
    near = {SBU.joints[j] for j in row.nonzero().flatten().tolist()}
    assert near == {"left_shoulder", "left_elbow", "left_hand"}
    torch.testing.assert_close(branch.graph.sum(-1), torch.ones(2, SBU.num_joints))


def test_ppe_parts_are_means_of_visible_joints() -> None:
    torch.manual_seed(0)
    ppe = PPE(3, 8, SBU, "layer").eval()
    x = torch.randn(2, 4, SBU.num_joints, 3)
    hidden = torch.rand(2, 4, SBU.num_joints) < 0.5
    hidden[0, 0, list(SBU.body[1])] = True
    joints, parts = ppe(x, hidden)
    for b in range(2):
        for t in range(4):
            for p, group in enumerate(SBU.body):
                seen = [ppe.expand(x[b, t, j]) for j in group if not hidden[b, t, j]]
                expected = ppe.embed(torch.stack(seen).mean(0)) if seen else ppe.part_token
                torch.testing.assert_close(parts[b, t, p], expected)
            for j in range(SBU.num_joints):
                feature = ppe.mask_token if hidden[b, t, j] else ppe.expand(x[b, t, j])
                torch.testing.assert_close(joints[b, t, j], feature + ppe.joint[j])


def test_ppe_norms_see_only_visible_joints() -> None:
    """Running statistics after one masked batch are those of the visible joints alone."""
    torch.manual_seed(0)
    ppe = PPE(3, 8, SBU, "batch")
    x, hidden = torch.randn(4, 4, SBU.num_joints, 3), torch.rand(4, 4, SBU.num_joints) < 0.5
    ppe(x, hidden)
    lifted = ppe.expand[0](x[~hidden])
    torch.testing.assert_close(ppe.expand[1].norm.running_mean, 0.1 * lifted.mean(0))
    torch.testing.assert_close(ppe.expand[1].norm.running_var, 0.9 + 0.1 * lifted.var(0))


def test_ppe_can_count_the_zeros_that_pad_a_part() -> None:
    torch.manual_seed(0)
    layout = LAYOUTS["ntu25"]
    ppe, x = PPE(3, 8, layout, "layer", padded=True).eval(), torch.randn(2, 4, layout.num_joints, 3)
    hidden = torch.rand(2, 4, layout.num_joints) < 0.5
    longest = max(len(group) for group in layout.body)
    assert longest > min(len(group) for group in layout.body)
    for mask in (None, hidden):
        _, parts = ppe(x, mask)
        for p, group in enumerate(layout.body):
            seen = [ppe.expand(x[1, 2, j]) for j in group if mask is None or not mask[1, 2, j]]
            expected = ppe.embed(sum(seen) / longest) if seen else ppe.part_token
            torch.testing.assert_close(parts[1, 2, p], expected)


def test_mpa_adds_each_part_to_its_joints() -> None:
    torch.manual_seed(0)
    mpa = MPA(8, 16, MPAENetConfig(size="tiny", heads=2, norm="layer"), SBU)
    joints, parts = torch.randn(2, 3, SBU.num_joints, 8), torch.randn(2, 3, len(SBU.body), 8)
    fused, of_parts = mpa(joints, parts)
    of_joints = mpa.joint(joints)
    torch.testing.assert_close(of_parts, mpa.part(parts))
    for p, group in enumerate(SBU.body):
        for j in group:
            both = mpa.norm(of_joints[:, :, j] + mpa.fuse(of_parts[:, :, p]))
            torch.testing.assert_close(fused[:, :, j], (both + mpa.skip(joints[:, :, j])).relu())


def test_vectors_by_distance_are_one_a_difference_of_numbers() -> None:
    torch.manual_seed(0)
    branch = PositionAttention(6, 8, 2, torch.eye(4), by_distance=True).double()
    assert branch.query.shape == (7, 4)
    weights = branch.weights()
    for i in range(4):
        for j in range(4):
            assert torch.equal(weights.value[i, j], branch.value[i - j + 3])
    x = torch.randn(1, 3, 4, 6, dtype=torch.float64)
    torch.testing.assert_close(branch(x)[0], attention_loop(x[0], weights))


def test_without_the_factor_scores_are_as_printed() -> None:
    """Scores sqrt(d) times as large, all else alike: what a loop that divides gets of larger queries and keys."""
    torch.manual_seed(0)
    branch = PositionAttention(6, 8, 2, torch.eye(4), scaled=False).double()
    x = torch.randn(3, 4, 6, dtype=torch.float64)
    branch.scaled = True
    plain = branch.weights()
    q, k, v = (x @ plain.project.T).view(3, 4, 3, 2, 4).permute(2, 0, 3, 1, 4)
    gate = (q @ plain.gate + plain.bias).sigmoid()[..., None]
    placed = torch.einsum("nhid,ijd->nhij", q, plain.query) + torch.einsum("nhjd,ijd->nhij", k, plain.key)
    share = (gate * (q @ k.mT) + (1 - gate) * placed).softmax(-1) + plain.graph
    moved = torch.einsum("nhij,nhijd->nhid", share, v[:, :, None] + plain.value)
    branch.scaled = False
    assert branch.weights().key.equal(plain.key * 2)
    torch.testing.assert_close(branch(x[None])[0], moved.transpose(1, 2).flatten(2).sigmoid())


ABLATIONS: list[dict[str, object]] = [
    *({"parts": False}, {"positions": "none"}, {"excitation": False}),
    *({"positions": "distances"}, {"scaled": False}, {"part_mean": "padded"}),
    {"parts": False, "positions": "none", "excitation": False, "scaled": False},
]


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
def test_an_ablation_keeps_the_contract(options: dict[str, object]) -> None:
    """Every parameter learns, and what is hidden has no influence."""
    torch.manual_seed(0)
    net = MPAENet(MPAENetConfig(size="tiny", channels=(8, 8), **options), SBU, 3, 16)
    assert net.config.complete == (not {"parts", "excitation"} & options.keys() and options.get("positions") != "none")
    x, mask = torch.randn(3, 3, 16, SBU.num_joints), torch.rand(3, 4, SBU.num_joints) < 0.5
    mask[:, :, list(SBU.body[1])] = True
    net(x, mask).mul(torch.randn(3, net.dim, 1, 1)).sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in net.parameters())
    hidden = mask.repeat_interleave(4, 1)[:, None]
    net.eval()
    assert torch.equal(net(x.masked_fill(hidden, 9.0), mask), net(x.masked_fill(hidden, torch.nan), mask))


def test_plain_attention_is_softmax_and_a_sigmoid() -> None:
    torch.manual_seed(0)
    for scaled in (True, False):
        branch, x = PlainAttention(6, 8, 2, scaled), torch.randn(1, 2, 5, 6)
        for t in range(2):
            q, k, v = branch.qkv(x[0, t]).view(5, 3, 2, 4).unbind(1)
            for i in range(5):
                for h in range(2):
                    scores = torch.stack([q[i, h] @ k[j, h] for j in range(5)]) / (2 if scaled else 1)
                    told = sum(share * v[j, h] for j, share in enumerate(scores.softmax(0)))
                    torch.testing.assert_close(branch(x)[0, t, i, 4 * h : 4 * h + 4], told.sigmoid())


def test_plain_time_is_a_convolution_over_nine_frames() -> None:
    torch.manual_seed(0)
    made, x = PlainTime(4, "layer"), torch.randn(1, 12, 3, 4)
    for t in range(12):
        at = [(tap, t + tap - 4) for tap in range(9) if 0 <= t + tap - 4 < 12]
        total = sum(made.conv.weight[:, :, tap, 0] @ x[0, frame, 1] for tap, frame in at)
        torch.testing.assert_close(made(x)[0, t, 1], made.norm(total))


def test_mte_is_the_equations() -> None:
    """Squeeze over joints, gate each frame and channel (Eqs. 8-10), three branches over time (Eq. 11)."""
    torch.manual_seed(0)
    dim, frames, joints = 8, 10, 3
    mte = MTE(dim, 4, "layer")
    x = torch.randn(1, frames, joints, dim)
    scaled = torch.empty(frames, joints, dim)
    for t in range(frames):
        squeezed = sum(x[0, t, v] for v in range(joints)) / joints
        scaled[t] = x[0, t] * torch.sigmoid(mte.squeeze(squeezed))
    lifted = mte.reduce(scaled)
    expected = []
    for t in range(frames):
        for v in range(joints):
            row = []
            for conv, dilation in ((mte.near, 1), (mte.far, 2)):
                at = [(k, t + (k - 2) * dilation) for k in range(5)]
                row.append(sum(conv.weight[:, :, k, 0] @ scaled[s, v] for k, s in at if 0 <= s < frames))
            row.append(torch.stack([lifted[s, v] for s in (t - 1, t, t + 1) if 0 <= s < frames]).amax(0))
            expected.append(mte.norm(torch.cat(row)))
    torch.testing.assert_close(mte(x)[0].flatten(0, 1), torch.stack(expected))


def test_layer_is_mpa_then_mte_with_a_residual() -> None:
    torch.manual_seed(0)
    layer = Layer(8, 16, 2, MPAENetConfig(channels=(8, 16), strides=(1, 2), heads=2, norm="layer"), SBU, last=False)
    joints, parts = torch.randn(2, 4, SBU.num_joints, 8), torch.randn(2, 4, len(SBU.body), 8)
    out, carried = layer(joints, parts)
    joints, parts = ((x[:, 0::2] + x[:, 1::2]) / 2 for x in (joints, parts))
    fused, of_parts = layer.mpa(joints, parts)
    torch.testing.assert_close(out, (layer.mte(fused) + layer.skip(joints)).relu())
    torch.testing.assert_close(carried, (layer.carry.norm(of_parts) + layer.carry.skip(parts)).relu())


def test_base_has_the_published_size() -> None:
    """One stream: 2.9 M parameters, 2.2 GFLOPs (MPAE-Net, Table 5), within 10 %.

    The field counts a multiply-add as one operation, for two persons, 64 frames and 25 joints;
    torch's counter counts it as two. The 60-class head is included.
    """
    net = MPAENet(MPAENetConfig(), LAYOUTS["ntu25"], 3, 64).eval()
    head = nn.Linear(net.dim, 60)
    parameters = sum(weight.numel() for weight in [*net.parameters(), *head.parameters()])
    assert abs(parameters / 2.9e6 - 1) < 0.1
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        head(net(torch.randn(2, 3, 64, 25)).mean((2, 3)))
    assert abs(counter.get_total_flops() / 2 / 2.2e9 - 1) < 0.1


def test_base_has_the_papers_layers() -> None:
    net = MPAENet(MPAENetConfig(), LAYOUTS["ntu25"], 3, 64)
    assert [layer.mpa.fuse.out_features for layer in net.layers] == [64] * 4 + [128] * 3 + [256] * 3
    assert [layer.stride for layer in net.layers] == [1, 1, 1, 1, 2, 1, 1, 2, 1, 1]
    assert all(len(layer.mpa.joint.graph) == 8 for layer in net.layers)
    assert net.layers[9].mte.squeeze[0].out_features == 256 // 8


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_patches_read_every_frame_and_hide_together(norm: str) -> None:
    torch.manual_seed(0)
    net = MPAENet(MPAENetConfig(size="tiny", patch=4, strides=(1, 1), norm=norm), SBU, 3, 16).eval()
    x = torch.randn(1, 3, 16, SBU.num_joints)
    assert net(x).shape == (1, net.dim, 4, SBU.num_joints)
    for t in range(16):
        moved = x.clone()
        moved[:, :, t] += 1
        assert not torch.equal(net(moved), net(x))
    one = torch.zeros(1, 16, SBU.num_joints, dtype=torch.bool)
    one[:, 5] = True
    torch.testing.assert_close(net(x, one), net(x, one.unflatten(1, (4, 4)).any(2)))


@pytest.mark.parametrize("layout", [DOT, HAND], ids=lambda layout: layout.name)
def test_a_users_layout_and_a_single_frame(layout: SkeletonLayout) -> None:
    net = MPAENet(MPAENetConfig(size="tiny", patch=1, strides=(1, 1)), layout, 2, 1)
    out = net(torch.randn(2, 2, 1, layout.num_joints))
    assert out.shape == (2, net.dim, 1, layout.num_joints)
    out.sum().backward()


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_a_tiny_network_learns_a_batch_by_heart(norm: str) -> None:
    torch.manual_seed(0)
    net = MPAENet(MPAENetConfig(size="tiny", norm=norm), SBU, 3, 16)
    head = nn.Linear(net.dim, 8)
    weights = [*net.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=3e-3)
    x, label = torch.randn(16, 3, 16, SBU.num_joints), torch.arange(16) % 8
    for _ in range(40):
        loss = nn.functional.cross_entropy(head(net(x).mean((2, 3))), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1


def test_layer_norm_does_not_mix_samples() -> None:
    torch.manual_seed(0)
    net = MPAENet(MPAENetConfig(size="tiny", norm="layer"), SBU, 3, 16).train()
    x = torch.randn(3, 3, 16, SBU.num_joints)
    torch.testing.assert_close(net(x)[:1], net(x[:1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "bas"}, "size: unknown 'bas'; did you mean 'base'"),
        ({"channels": [64, 64]}, "channels names 2 layers and strides 10"),
        ({"channels": [60] * 10}, "each must be at least 4 and a multiple of heads = 8"),
        ({"strides": [0] * 10}, "each must be 1 or more"),
        ({"chanels": [64]}, "chanels: unknown key; did you mean 'channels'"),
        ({"norm": "group"}, "norm: unknown 'group'"),
        ({"heads": 0}, "heads"),
    ],
)
def test_a_config_that_cannot_be_built_says_why(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message.replace("[", r"\[")):
        parse_config(MPAENetConfig, {"name": "mpae_net", **options}, "run.yaml")


def test_size_is_a_preset_and_fields_override_it() -> None:
    tiny = MPAENetConfig(size="tiny").arch
    arch = MPAENetConfig(size="tiny", strides=(1, 1)).arch
    assert arch == tiny._replace(strides=(1, 1))
    read = parse_config(MPAENetConfig, {"name": "mpae_net", "size": "tiny", "strides": [1, 1]}, "run.yaml")
    assert read.arch == arch
    with pytest.raises(ValidationError):
        MPAENetConfig(size="tiny", heads=7)
