"""Decoders: what each attends to, cell by cell; tokens for what is hidden; and predicting a sample only."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from batches import FRAMES, LAYOUT, batch_for, train
from torch import Tensor, nn

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.batch import Rng
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder
from ssl_skel.layouts import parse_layout
from ssl_skel.pretexts.configs.skeleton_mae import SkeletonMAEConfig
from ssl_skel.pretexts.decoders import DECODERS, CrossBlock, CrossDecoder, Decoder
from ssl_skel.pretexts.losses import normalize_patches, to_patches
from ssl_skel.pretexts.skeleton_mae import SkeletonMAE

JOINTS = LAYOUT.num_joints
NAMES = ["hip", "knee", "foot", "chest", "head"]
FIVE = parse_layout(
    {
        "name": "five", "joints": NAMES, "bones": {"knee": "hip", "foot": "knee", "chest": "hip", "head": "chest"},
        "centre": "hip", "across": ["knee", "chest"], "body": {"all": NAMES}, "part": {"all": NAMES},
    },
    "five",
)  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "axial": {"decoder": "axial", "decoder_input": "visible"},
    "joint": {"decoder": "joint", "decoder_input": "visible"},
    "cross": {"decoder": "cross", "decoder_input": "visible"},
    "sample": {"decoder": "cross", "decoder_input": "visible", "decoder_sample": 0.3},
    "gin": {"decoder": "gin", "decoder_input": "visible"},
    "pooled": {"decoder": "cross", "decoder_input": "pooled", "decoder_sample": 0.3},
}


def decoder(kind: str, grid: tuple[int, int] = (4, 5), depth: int = 2) -> Decoder:
    torch.manual_seed(0)
    made = DECODERS[kind](6, 8, depth, 2, grid, 12, token=True, layout=FIVE).double()
    for weight in made.parameters():  # biases and norms start at 0 and 1, where an error would not show
        nn.init.normal_(weight, std=0.4)
    return made.eval()


def features(persons: int = 2, frames: int = 4, joints: int = 5) -> Tensor:
    return torch.randn(persons, 6, frames, joints, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def some(seed: int, persons: int = 2, frames: int = 4, joints: int = 5) -> Tensor:
    return torch.rand(persons, frames, joints, generator=torch.Generator().manual_seed(seed)) < 0.6


def mae(backbone: str = "st_transformer", **options: Any) -> SkeletonMAE:
    torch.manual_seed(0)
    net = parse_config(BACKBONES[backbone].Config, {"name": backbone, "size": "tiny"}, "test")
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=FRAMES, stream="joint")
    config = parse_config(SkeletonMAEConfig, {"decoder_dim": 16, **options}, "test")
    return SkeletonMAE(config, encoder, LAYOUT)


def test_the_axial_decoder_looks_along_joints_then_along_frames() -> None:
    made, x, hidden = decoder("axial"), features(), some(2)
    grid = torch.empty(2, 4, 5, 8, dtype=torch.float64)
    for b in range(2):
        for t in range(4):
            for v in range(5):
                entered = made.token if hidden[b, t, v] else made.enter(x[b, :, t, v])
                grid[b, t, v] = entered + made.time[t, 0] + made.joint[v]
        for t in range(4):
            grid[b, t] = made.blocks[0](grid[b, t][None])[0]
        for v in range(5):
            grid[b, :, v] = made.blocks[1](grid[b, :, v][None])[0]
    torch.testing.assert_close(made(x, hidden), made.leave(made.norm(grid)))


def test_the_joint_decoder_looks_at_all_cells_at_once() -> None:
    """MAMP: visible features enter, a mask token stands for the others, positions, blocks over all tokens."""
    made, x, hidden = decoder("joint"), features(), some(2)
    for b in range(2):
        cells = [(t, v) for t in range(4) for v in range(5)]
        entered = [made.token if hidden[b, t, v] else made.enter(x[b, :, t, v]) for t, v in cells]
        tokens = [value + made.time[t, 0] + made.joint[v] for value, (t, v) in zip(entered, cells, strict=True)]
        mixed = made.blocks[1](made.blocks[0](torch.stack(tokens)[None]))[0]
        torch.testing.assert_close(made(x, hidden)[b].flatten(0, 1), made.leave(made.norm(mixed)))


def test_the_gin_decoder_looks_along_the_bones_of_a_frame() -> None:
    made, x, hidden = decoder("gin", depth=1), features(), some(2)
    near = {"hip": ["knee", "chest"], "knee": ["hip", "foot"], "foot": ["knee"], "chest": ["hip", "head"]}
    near["head"] = ["chest"]
    out = made(x, hidden)
    for b in range(2):
        for t in range(4):
            cells = {}
            for v, name in enumerate(NAMES):
                entered = made.token if hidden[b, t, v] else made.enter(x[b, :, t, v])
                cells[name] = entered + made.time[t, 0] + made.joint[v]
            for v, name in enumerate(NAMES):
                (block,) = made.blocks
                total = (1 + block.eps) * cells[name] + sum(cells[other] for other in near[name])
                expected = made.leave(made.norm(block.mlp(total[None, None, None])))
                torch.testing.assert_close(out[b, t, v], expected[0, 0, 0])


def cross_block_loop(block: CrossBlock, query: Tensor, context: list[Tensor]) -> Tensor:
    """One query looks at the context, head by head."""
    size = len(query) // block.heads
    asks = block.query(block.norm1(query))
    told = [block.key_value(block.norm_context(cell)) for cell in context]
    heads = []
    for start in range(0, len(query), size):
        keys = [cell[start : start + size] for cell in told]
        values = [cell[len(query) + start : len(query) + start + size] for cell in told]
        scores = [math.exp(float(asks[start : start + size] @ key) / math.sqrt(size)) for key in keys]
        heads.append(sum(score / sum(scores) * value for score, value in zip(scores, values, strict=True)))
    query = query + block.merge(torch.cat(heads))
    return query + block.mlp(block.norm2(query))


@torch.no_grad()
@pytest.mark.parametrize("asked", ["some", "all"])
def test_the_cross_decoder_asks_the_visible_cells_for_each_wanted_one(asked: str) -> None:
    made, x, hidden = decoder("cross"), features(), some(2)
    wanted = some(3) if asked == "some" else None
    assert hidden[0].sum() != hidden[1].sum()
    assert some(3)[0].sum() != some(3)[1].sum()
    out = made(x.masked_fill(hidden[:, None], torch.nan), hidden, wanted)
    for b in range(2):
        seen = [(t, v) for t in range(4) for v in range(5) if not hidden[b, t, v]]
        context = [made.enter(x[b, :, t, v]) + made.time[t, 0] + made.joint[v] for t, v in seen]
        for t in range(4):
            for v in range(5):
                token = made.token + made.time[t, 0] + made.joint[v]
                for block in made.blocks:
                    token = cross_block_loop(block, token, context)
                expected = made.leave(made.norm(token))
                unasked = wanted is not None and not wanted[b, t, v]
                torch.testing.assert_close(out[b, t, v], torch.zeros_like(expected) if unasked else expected)


@pytest.mark.parametrize("kind", DECODERS)
def test_merged_joints_are_told_apart_by_their_positions(kind: str) -> None:
    made, x = decoder(kind), features(joints=3)  # three groups for five joints
    out = made(x)
    assert out.shape == (2, 4, 5, 12)
    assert torch.equal(out, made(x.mean(3, keepdim=True)))
    assert len({tuple(values) for values in out[0, 0].detach().numpy().round(6)}) == 5


def test_the_default_decoder_keeps_its_names_and_its_start() -> None:
    """Checkpoints of runs hold these names; the same seed gives the same weights as ever."""
    made = decoder("axial", depth=1)
    assert made.state_dict().keys() >= {"enter.weight", "time", "joint", "blocks.0.attn.qkv.weight", "leave.bias"}
    assert mae().config.decoder == "axial"
    assert "decoder.token" not in mae().state_dict()
    torch.manual_seed(0)
    fresh = DECODERS["axial"](6, 8, 0, 2, (4, 5), 12, token=False)
    torch.manual_seed(0)
    assert torch.equal(nn.Linear(6, 8).weight, fresh.enter.weight)


@pytest.mark.parametrize("kind", ["joint", "cross"])
def test_decoders_of_papers_start_as_maes_code_does(kind: str) -> None:
    made = DECODERS[kind](32, 64, 1, 2, (4, 5), 12, token=True)
    for layer in (layer for layer in made.modules() if isinstance(layer, nn.Linear)):
        assert not layer.bias.any()
        bound = math.sqrt(6 / sum(layer.weight.shape))
        assert 0.95 * bound < float(layer.weight.detach().abs().max()) <= bound


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_decoder_serves_every_network(kind: str, backbone: str) -> None:
    task = mae(backbone, **KINDS[kind])
    loss = task(batch_for(task))["loss"]
    loss.backward()
    merged = not task.encoder.backbone.keeps_joints  # nothing can be hidden from the decoder there
    missing = [name for name, value in task.named_parameters() if value.grad is None]
    assert not [name for name in missing if not (merged and name == "decoder.token")]
    dead = [name for name, value in task.decoder.named_parameters() if value.grad is not None and not value.grad.any()]
    assert not dead
    batch = batch_for(task)
    (view,) = task.views(batch)
    spoiled = view.x.masked_fill(view.mask.repeat_interleave(4, 1)[:, None], 7.0)
    with torch.no_grad():
        prediction = task.eval().predict(view.x, view.mask)
        assert prediction.shape == (len(view.x), FRAMES // 4, JOINTS, 12)
        assert torch.equal(prediction, task.predict(spoiled, view.mask))
        assert not torch.equal(prediction, task.predict(view.x + 0.1, view.mask))


@pytest.mark.parametrize("kind", KINDS)
def test_loss_falls_with_every_decoder(kind: str) -> None:
    task = mae(normalize=False, **KINDS[kind])
    losses = train(task, lambda step: batch_for(task), 20)
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("unit", [2, 4, 8])
@pytest.mark.parametrize("loss_on", ["hidden", "all"])
def test_a_sample_counts_alone(unit: int, loss_on: str) -> None:
    """The loss is the mean error of the drawn units, as a prediction of everything has it."""
    task = mae(unit=unit, loss_on=loss_on, **KINDS["sample"]).eval()
    drawn: list[Tensor] = []
    sample = task._sample
    task._sample = lambda batch, counts: (drawn.append(sample(batch, counts)), drawn[-1])[1]
    batch = batch_for(task)
    with torch.no_grad():
        loss = task(batch)["loss"]
        mask = task.mask(batch_for(task).rng, batch.x[:, 0], unit)[batch.present]
        packed = task.encoder.pack(batch.x[:, 0], batch.present)
        target = normalize_patches(to_patches(packed, unit))
        error = (task.predict(packed, mask) - target).square().mean(-1)
    (chosen,) = drawn
    counts = mask if loss_on == "hidden" else torch.ones_like(mask)
    assert not (chosen & ~counts).any()
    assert chosen.sum((1, 2)).tolist() == [round(0.3 * int(person.sum())) for person in counts]
    means = [error[person][chosen[person]].mean() for person in range(len(chosen))]
    owner = batch.present.nonzero()[:, 0]
    clips = [torch.stack([mean for mean, n in zip(means, owner, strict=True) if n == clip]).mean() for clip in range(4)]
    torch.testing.assert_close(loss, torch.stack(clips).mean(), rtol=1e-4, atol=1e-5)


def test_every_unit_that_counts_is_drawn_alike() -> None:
    task, batch = mae(**KINDS["sample"]), batch_for(mae())
    counts = torch.zeros(len(batch.present.nonzero()), FRAMES // 4, JOINTS, dtype=torch.bool)
    hidden = task.mask.hidden(FRAMES // 4)
    counts.flatten(1)[:, 3 : 3 + hidden] = True
    total = torch.zeros(FRAMES // 4 * JOINTS)
    for seed in range(150):
        object.__setattr__(batch, "rng", Rng((seed,), 4))
        total += task._sample(batch, counts).flatten(1).sum(0)
    share = total / 150 / len(counts)
    expected = round(0.3 * hidden) / hidden
    assert (share[3 : 3 + hidden] - expected).abs().max() < 5 * (expected * (1 - expected) / 150 / len(counts)) ** 0.5
    assert not share[:3].any()
    assert not share[3 + hidden :].any()


def test_a_sample_is_the_same_on_any_number_of_ranks() -> None:
    task = mae(**KINDS["sample"]).eval()
    with torch.no_grad():
        whole = task(batch_for(task))["loss"]
        halves = [task(batch_for(task, rows=slice(start, start + 2)))["loss"] for start in (0, 2)]
    torch.testing.assert_close(whole, torch.stack(halves).mean())
    assert task(batch_for(task, 0))["loss"] != task(batch_for(task, 1))["loss"]


def test_a_light_decoder_on_visible_cells_costs_less_the_less_it_predicts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    def cost(**options: Any) -> int:
        task = mae(mask={"name": "random", "ratio": 0.9}, decoder_dim=64, **options)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            task(batch_for(task))
        return int(counter.get_total_flops())

    joint, cross, sample = (cost(**KINDS[kind]) for kind in ("joint", "cross", "sample"))
    assert sample < 0.5 * cross < 0.5 * joint


class Merging(Backbone):
    """A backbone that keeps no joint axis, as some networks do."""

    Config = BackboneConfig
    dim, t_stride, keeps_joints = 6, 4, False

    def __init__(self) -> None:
        super().__init__(BackboneConfig(), LAYOUT, 3, FRAMES)
        self.net = nn.Linear(12, 6)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            x = x.masked_fill(mask.repeat_interleave(x.shape[2] // mask.shape[1], 1).unsqueeze(1), 0.0)
        return self.net(x.mean(3).unflatten(2, (-1, 4)).permute(0, 2, 1, 3).flatten(2)).permute(0, 2, 1).unsqueeze(-1)

    def stages(self) -> list[nn.Module]:
        return [self.net]


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_that_merges_joints_is_served_too(kind: str) -> None:
    config = parse_config(SkeletonMAEConfig, {"decoder_dim": 16, **KINDS[kind]}, "test")
    task = SkeletonMAE(config, SkeletonEncoder(Merging()), LAYOUT)
    losses = train(task, lambda step: batch_for(task), 5)
    assert all(math.isfinite(loss) for loss in losses)
    (view,) = task.views(batch_for(task))
    assert task.predict(view.x, view.mask).shape == (len(view.x), FRAMES // 4, JOINTS, 12)
    assert isinstance(task.decoder, CrossDecoder) == (config.decoder == "cross")


def test_the_options_name_every_decoder() -> None:
    assert get_args(SkeletonMAEConfig.model_fields["decoder"].annotation) == tuple(DECODERS)
