"""X-ShiftNet: shift, block and excitation against loops, the published widths and sizes, and that it learns."""

from __future__ import annotations

import pytest
import torch
from skeletons import DOT, HAND
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ssl_skel.backbones.configs.xshift import SIZES, ArchSpec, XShiftConfig
from ssl_skel.backbones.heatmaps import heat_maps
from ssl_skel.backbones.xshift import NEARLY_ZERO, Block, Excitation, PoseXShiftNet, Stage, XShiftNet, temporal_shift
from ssl_skel.config import parse_config
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout

FRAMES = 3


def pictures(channels: int, side: int = 5, clips: int = 2) -> Tensor:
    """(B * T, C, H, W)."""
    return torch.randn(clips * FRAMES, channels, side, side, generator=torch.Generator().manual_seed(channels))


def shifted(x: Tensor, share: int) -> Tensor:
    """Clip by clip, frame by frame, channel by channel."""
    out, fold = torch.zeros_like(x), x.shape[1] // share
    for n in range(len(x)):
        t = n % FRAMES
        for c in range(x.shape[1]):
            step = 1 if c < fold else -1 if c < 2 * fold else 0
            if 0 <= t + step < FRAMES:
                out[n, c] = x[n + step, c]
    return out


@pytest.mark.parametrize(("channels", "share"), [(8, 4), (16, 8), (9, 4), (3, 4)])
def test_the_shift_takes_a_share_from_the_next_and_one_from_the_previous_frame(channels: int, share: int) -> None:
    x = pictures(channels)
    assert torch.equal(temporal_shift(x, FRAMES, share), shifted(x, share))


def test_one_frame_has_no_neighbours() -> None:
    x = pictures(8)
    out = temporal_shift(x, 1, 4)
    assert torch.equal(out[:, 4:], x[:, 4:])
    assert not out[:, :4].any()


@pytest.mark.parametrize(("dim", "low"), [(54, 8), (108, 8), (216, 16), (432, 32)])
def test_excitation_weighs_channels_of_a_clip(dim: int, low: int) -> None:
    torch.manual_seed(0)
    excite = Excitation(dim)
    assert excite.gate[0].out_features == low
    x = pictures(dim, side=2)
    out = excite(x, FRAMES)
    for clip in range(2):
        mine = range(clip * FRAMES, (clip + 1) * FRAMES)
        mean = sum(x[n, :, i, j] for n in mine for i in range(2) for j in range(2)) / (FRAMES * 4)
        hidden = (excite.gate[0].weight @ mean + excite.gate[0].bias).clamp(min=0)
        gate = torch.sigmoid(excite.gate[2].weight @ hidden + excite.gate[2].bias)
        for n in mine:
            torch.testing.assert_close(out[n], x[n] * gate[:, None, None])


def apply_norm(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Running statistics, a channel a row."""
    spread = (norm.running_var + norm.eps).sqrt()
    scaled = (x - norm.running_mean.view(1, -1, 1, 1)) / spread.view(1, -1, 1, 1)
    return scaled * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)


def look_loop(weight: Tensor, x: Tensor, stride: int) -> Tensor:
    """Depth-wise 3x3 of each picture with one pixel of zeros around."""
    side = -(-x.shape[2] // stride)
    out = x.new_zeros(*x.shape[:2], side, side)
    for i in range(side):
        for j in range(side):
            for a in range(3):
                for b in range(3):
                    row, column = i * stride + a - 1, j * stride + b - 1
                    if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                        out[:, :, i, j] += weight[:, 0, a, b] * x[:, :, row, column]
    return out


@pytest.mark.parametrize(("dims", "stride", "excite"), [((8, 8), 1, True), ((8, 8), 1, False), ((8, 12), 2, True)])
def test_a_block_is_the_released_code(dims: tuple[int, int], stride: int, excite: bool) -> None:
    torch.manual_seed(0)
    block = Block(*dims, stride, 4, excite)
    x = pictures(dims[0])
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight, module.bias, module.running_mean):
                nn.init.normal_(value)
            nn.init.uniform_(module.running_var, 0.5, 2)
    block.eval()
    expand, look, project = block.expand, block.look, block.project
    wide = int(2.25 * dims[1])
    assert expand[0].weight.shape == (wide, dims[0], 1, 1)
    y = torch.einsum("oc,nchw->nohw", expand[0].weight[:, :, 0, 0], shifted(x, 4))
    y = apply_norm(look[1], look_loop(look[0].weight, apply_norm(expand[1], y).clamp(min=0), stride))
    if excite:
        y = block.excite(y, FRAMES)
    y = y * torch.sigmoid(y)
    y = apply_norm(project[1], torch.einsum("oc,nchw->nohw", project[0].weight[:, :, 0, 0], y))
    before = x
    if stride > 1:
        before = torch.einsum("oc,nchw->nohw", block.skip[0].weight[:, :, 0, 0], x[:, :, ::stride, ::stride])
        before = apply_norm(block.skip[1], before)
    torch.testing.assert_close(block(x, FRAMES), (y + before).clamp(min=0), rtol=1e-4, atol=1e-4)


def test_a_fresh_block_hardly_changes_its_input() -> None:
    torch.manual_seed(0)
    block = Block(8, 8, 1, 4, excite=True)
    assert (block.project[1].weight == NEARLY_ZERO).all()
    x = pictures(8).relu()
    torch.testing.assert_close(block(x, FRAMES), x, rtol=0, atol=1e-4)


def test_a_network_is_its_parts_in_a_row() -> None:
    torch.manual_seed(0)
    net = XShiftNet(5, ArchSpec(2, (8, 12), (2, 3), 4, 6)).eval()
    x = torch.randn(2, 5, FRAMES, 18, 18)
    y = net.stem(x.transpose(1, 2).reshape(-1, 5, 18, 18))
    for stage in net.stages:
        for block in stage.blocks:
            y = block(y, FRAMES)
    y = net.last(y)
    out = net(x)
    assert out.shape == (2, 6, FRAMES, *[net.arch.sides(18)[-1]] * 2) == (2, 6, FRAMES, 3, 3)
    torch.testing.assert_close(out, y.view(2, FRAMES, 6, 3, 3).transpose(1, 2), rtol=1e-4, atol=1e-5)


def test_a_stage_halves_the_picture_once_and_excites_every_other_block() -> None:
    stage = Stage(8, 12, 5, 4)
    assert [block.look[0].stride for block in stage.blocks] == [(2, 2), *[(1, 1)] * 4]
    assert [block.excite is not None for block in stage.blocks] == [True, False, True, False, True]
    assert [isinstance(block.skip, nn.Identity) for block in stage.blocks] == [False, *[True] * 4]


def test_base_has_the_published_size() -> None:
    """0.53 M parameters with a head of 60 classes, 3.36 G multiply-adds on 48 frames of 17 joints (derived figures)."""
    net = PoseXShiftNet(XShiftConfig(), LAYOUTS["coco17"], 2, 48).eval()
    head = nn.Linear(net.dim, 60)
    parameters = sum(weight.numel() for weight in [*net.parameters(), *head.parameters()])
    assert abs(parameters / 0.53e6 - 1) < 0.1
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        out = net(torch.randn(1, 2, 48, 17))
    assert abs(counter.get_total_flops() / 2 / 3.36e9 - 1) < 0.1
    assert out.shape == (1, 216, 48, 49)
    assert (net.grid_side, net.t_stride) == (7, 1)


def test_base_has_the_papers_layers() -> None:
    side, stride, plan = SIZES["base"]
    assert (side, stride) == (56, 1)
    assert plan == ArchSpec(stem_stride=1, widths=(24, 48, 96), depths=(5, 11, 7), share=4, dim=216)


def test_the_network_sees_the_heat_maps_of_the_frames_that_it_draws() -> None:
    torch.manual_seed(0)
    net = PoseXShiftNet(XShiftConfig(size="tiny", side=12, stride=4, sigma=1.0, padding=0.5), HAND, 3, 8).eval()
    x, mask = torch.randn(2, 3, 8, 3), torch.rand(2, 4, 3) < 0.3
    maps = heat_maps(x, mask.repeat_interleave(2, 1), 12, mirrored=True, stride=4, sigma=1.0, padding=0.5)
    torch.testing.assert_close(net(x, mask), net.net(maps).flatten(3))
    assert net.t_stride == 4


@pytest.mark.parametrize(
    ("coordinates", "score", "told", "mirrored"),
    [(2, 0, None, False), (2, 1, None, False), (3, 0, None, True), (3, 1, None, True), (3, 0, False, False)],
)
def test_joints_of_the_plane_are_turned_back_and_a_score_is_no_depth(
    coordinates: int, score: int, told: bool | None, mirrored: bool
) -> None:
    torch.manual_seed(0)
    layout = HAND.with_score() if score else HAND
    config = XShiftConfig(size="tiny", mirrored=told)
    net = PoseXShiftNet(config, layout, coordinates + score, 8).eval()
    x = torch.randn(2, coordinates + score, 8, 3)
    maps = heat_maps(x, None, net.side, mirrored=mirrored, stride=net.t_stride)
    torch.testing.assert_close(net(x), net.net(maps).flatten(3))


@pytest.mark.parametrize("layout", [DOT, HAND], ids=lambda layout: layout.name)
@pytest.mark.parametrize("channels", [2, 3])
def test_a_users_layout_and_a_single_frame(channels: int, layout: SkeletonLayout) -> None:
    net = PoseXShiftNet(XShiftConfig(size="tiny", stride=1), layout, channels, 1)
    out = net(torch.randn(2, channels, 1, layout.num_joints))
    assert out.shape == (2, net.dim, 1, net.grid_side**2)
    out.sum().backward()


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_any_number_of_frames_that_the_stride_divides(size: str) -> None:
    net = PoseXShiftNet(XShiftConfig.model_validate({"size": size}), HAND, 3, 16).eval()
    for frames in (net.t_stride, 3 * net.t_stride):
        assert net(torch.randn(1, 3, frames, 3)).shape[2] == frames // net.t_stride


def test_it_can_be_exported() -> None:
    net = PoseXShiftNet(XShiftConfig(size="tiny"), HAND, 3, 8).eval()
    x = torch.randn(2, 3, 8, 3)
    program = torch.export.export(net, (x,))
    torch.testing.assert_close(program.module()(x), net(x))


def test_a_tiny_network_tells_shapes_apart_that_are_the_same_but_for_time() -> None:
    """Two classes: a tip that rises, and one that falls. Without the shift no frame differs from the other class's."""
    torch.manual_seed(0)
    net = PoseXShiftNet(XShiftConfig(size="tiny"), HAND, 2, 8)
    head = nn.Linear(net.dim, 2)
    optimiser = torch.optim.AdamW([*net.parameters(), *head.parameters()], lr=1e-2)
    label = torch.arange(16) % 2
    height = torch.linspace(-1, 1, 8).expand(16, 8)
    height = torch.where(label[:, None] == 0, height, height.flip(1))
    x = torch.zeros(16, 2, 8, 3)
    x[:, 0, :, 1], x[:, 0, :, 2], x[:, 1, :, 1] = -1, 1, height
    x = x + 0.05 * torch.randn(x.shape)
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
        ({"side": 2}, "side"),
        ({"sigma": 0.0}, "sigma"),
        ({"sides": 56}, "sides: unknown key; did you mean 'side'"),
    ],
)
def test_a_config_that_cannot_be_built_says_why(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_config(XShiftConfig, {"name": "xshift", **options}, "run.yaml")
