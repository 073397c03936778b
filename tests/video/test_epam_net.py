"""EPAM-Net: the attention against loops, what the joints may weigh, and the published size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ssl_skel.backbones.configs.xshift import ArchSpec
from ssl_skel.video.epam_net import RGB_PLANS, EPAMNet, PoseAttention, normalized


def attention_loop(net: PoseAttention, pose: Tensor, frames: int) -> Tensor:
    """Place by place and frame by frame; norms in eval mode."""
    conv, norm = net.space
    clips, _, drawn, height, width = pose.shape
    places = torch.zeros(clips, frames, height, width)
    for n in range(clips):
        for t in range(frames):
            seen = pose[n, :, t * drawn // frames]
            maps = [seen.amax(0), seen.mean(0)]
            for i in range(height):
                for j in range(width):
                    total = torch.zeros(())
                    for kind in range(2):
                        for a in range(7):
                            for b in range(7):
                                row, column = i + a - 3, j + b - 3
                                if 0 <= row < height and 0 <= column < width:
                                    total = total + conv.weight[0, kind, a, b] * maps[kind][row, column]
                    scaled = (total - norm.running_mean[0]) / (norm.running_var[0] + norm.eps).sqrt()
                    places[n, t, i, j] = torch.sigmoid(scaled * norm.weight[0] + norm.bias[0])
    out = torch.zeros_like(places)
    for n in range(clips):
        for t in range(frames):
            near = [(k, t + k - 3) for k in range(7) if 0 <= t + k - 3 < frames]
            gate = torch.sigmoid(sum(net.time.weight[0, 0, k] * places[n, s].mean() for k, s in near))
            out[n, t] = gate * places[n, t]
    return out[:, None]


@pytest.mark.parametrize(("drawn", "frames"), [(12, 4), (9, 9), (3, 5)])
def test_attention_is_the_equations(drawn: int, frames: int) -> None:
    torch.manual_seed(0)
    net = PoseAttention().eval()
    for value in (net.space[1].weight, net.space[1].bias, net.space[1].running_mean):
        nn.init.normal_(value)
    pose = torch.randn(2, 5, drawn, 3, 4)
    with torch.no_grad():
        found = net(pose, frames)
        assert found.shape == (2, 1, frames, 3, 4)
        torch.testing.assert_close(found, attention_loop(net, pose, frames))


def test_sixteen_of_48_frames_are_every_third() -> None:
    net = PoseAttention().eval()
    pose = torch.randn(1, 5, 48, 7, 7)
    other = pose.clone()
    other[:, :, [t for t in range(48) if t % 3]] = 0
    assert torch.equal(net(pose, 16), net(other, 16))


def test_times_alone_weigh_all_places_of_a_frame_alike() -> None:
    torch.manual_seed(0)
    both, times = PoseAttention().eval(), PoseAttention(places=False).eval()
    times.load_state_dict(both.state_dict())
    pose = torch.randn(2, 5, 12, 3, 4)
    whole, weight = both(pose, 4), times(pose, 4)
    assert weight.shape == whole.shape
    assert torch.equal(weight, weight[..., :1, :1].expand_as(weight))
    space = both.space(torch.stack([pose[:, :, 3].amax(1), pose[:, :, 3].mean(1)], 1)).sigmoid()  # the second of 4
    torch.testing.assert_close(whole[:, :, 1], space * weight[:, :, 1])
    assert not EPAMNet(6, 5, "tiny", places=False).attention.places


@pytest.mark.parametrize("places", [(2, 2), (4, 4)])
def test_the_frames_features_become_themselves_and_what_is_attended(places: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = EPAMNet(6, 5, "tiny").eval()
    frames = torch.randint(0, 256, (2, 3, 3, 16, 16), dtype=torch.uint8)
    pose = torch.randn(2, 6, 6, *places)
    grid = net.rgb(normalized(frames))
    assert grid.shape[3:] == (2, 2)
    weight = net.attention(pose, 3)
    if places == (4, 4):  # bilinear halving: the mean of four neighbours
        weight = weight.unflatten(3, (2, 2)).unflatten(5, (2, 2)).mean((4, 6))
    total = torch.zeros(2, grid.shape[1])
    for t in range(3):
        for i in range(2):
            for j in range(2):
                total += grid[:, :, t, i, j] * (1 + weight[:, :, t, i, j])
    rgb, joints = net(frames, pose)
    torch.testing.assert_close(rgb, net.rgb_head(total / 12))
    torch.testing.assert_close(joints, net.pose_head(pose.mean((2, 3, 4))))


def test_bytes_become_imagenets_numbers() -> None:
    frames = torch.randint(0, 256, (1, 3, 2, 4, 4), dtype=torch.uint8)
    for channel, (mean, deviation) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        expected = (frames[:, channel].float() / 255 - mean) / deviation
        torch.testing.assert_close(normalized(frames)[:, channel], expected)


def test_every_parameter_learns_and_joints_learn_from_frames() -> None:
    torch.manual_seed(0)
    net = EPAMNet(6, 5, "tiny")
    frames = torch.randint(0, 256, (4, 3, 4, 16, 16), dtype=torch.uint8)
    pose = torch.randn(4, 6, 8, 2, 2, requires_grad=True)
    rgb, joints = net(frames, pose)
    (grad,) = torch.autograd.grad(rgb.square().sum(), pose, retain_graph=True)
    assert grad[:, :, 0::2].any(), "the attention leads the loss of frames to the joints"
    (rgb.square().sum() + joints.square().sum()).backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in net.parameters())


def test_frames_alone_have_neither_attention_nor_a_second_head() -> None:
    net = EPAMNet(0, 5, "tiny").eval()
    frames = torch.randint(0, 256, (2, 3, 3, 16, 16), dtype=torch.uint8)
    (logits,) = net(frames, None)
    assert logits.shape == (2, 5)
    assert {name.split(".")[0] for name in net.state_dict()} == {"rgb", "rgb_head"}


def test_base_has_the_published_size() -> None:
    """2.01 M parameters and 4.26 G multiply-adds of frames (derived figures), with a head of 60 classes."""
    assert RGB_PLANS["base"] == ArchSpec(2, (24, 48, 96, 192), (3, 5, 11, 7), 8, 432)
    with torch.device("meta"):
        net = EPAMNet(0, 60, "base").eval()
        frames = torch.zeros(1, 3, 16, 224, 224)
    assert abs(sum(weight.numel() for weight in net.parameters()) / 2.01e6 - 1) < 0.1
    with FlopCounterMode(display=False) as counter:
        grid = net.rgb(frames)
        net.rgb_head(grid.mean((2, 3, 4)))
    assert abs(counter.get_total_flops() / 2 / 4.26e9 - 1) < 0.1
    assert grid.shape == (1, 432, 16, 7, 7)
