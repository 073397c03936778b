"""X-ShiftNet: X3D whose 3-D depth-wise convolutions look at one frame, after channels were shifted along time.

EPAM-Net (Abdelkawy, Ali & Farag, Neurocomputing 2025), released code: mmaction/models/backbones/x3dTShiftPose.py and
x3dTemporalshift.py, after X3D (Feichtenhofer, CVPR 2020) and TSM (Lin, Gan & Han, ICCV 2019). Inside the network a
tensor is (B * T, D, H, W), channels last in memory: every convolution is one of pictures.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.xshift import ArchSpec, XShiftConfig
from ssl_skel.backbones.heatmaps import heat_maps
from ssl_skel.backbones.layers import hidden_frames
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout

NEARLY_ZERO = 1e-6
"""Scale of the last norm of a fresh block, which then hardly changes its input. The code has 0, which keeps the
gradient of the first step from all other weights of the block; the output is the same to six digits."""


def temporal_shift(x: Tensor, frames: int, share: int) -> Tensor:
    """Give each frame some channels of the frame after it, and as many of the one before; zero beyond the ends.

    TSM (Lin, Gan & Han, ICCV 2019), Sec. 3.2.

    Args:
        x: (B * T, D, H, W).
        frames: T.
        share: the first D // share channels come from the next frame, the following ones from the previous one.
    """
    fold = x.shape[1] // share
    clips = x.unflatten(0, (-1, frames))
    out = torch.zeros_like(clips)
    out[:, :-1, :fold] = clips[:, 1:, :fold]
    out[:, 1:, fold : 2 * fold] = clips[:, :-1, fold : 2 * fold]
    out[:, :, 2 * fold :] = clips[:, :, 2 * fold :]
    return out.flatten(0, 1)


class Excitation(nn.Module):
    """Squeeze-and-excitation: weight the channels of a clip by their means over all frames and positions.

    X3D (Feichtenhofer, CVPR 2020), MMAction2's SEModule: a sixteenth of the channels, rounded to a multiple of 8, and 8
    at least, never below nine tenths of what it should be.

    Args:
        dim: channels, in and out.
    Shape:
        (B * T, D, H, W) -> the same
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        wanted = dim / 16
        low = max(8, int(wanted + 4) // 8 * 8)
        low += 8 if low < 0.9 * wanted else 0
        self.gate = nn.Sequential(nn.Linear(dim, low), nn.ReLU(), nn.Linear(low, dim), nn.Sigmoid())

    def forward(self, x: Tensor, frames: int) -> Tensor:
        clips = x.unflatten(0, (-1, frames))
        gate = self.gate(clips.mean((1, 3, 4)))
        return (clips * gate[:, None, :, None, None]).flatten(0, 1)


class Block(nn.Module):
    """Shift, widen, convolve, narrow; then add the input, which is not shifted.

    EPAM-Net, released code: shift, 1x1 (x 2.25) BN ReLU, depth-wise 3x3 BN, SE, Swish, 1x1 BN, + input, ReLU.
    Where the stride or the width changes, the input goes through a strided 1x1 convolution and BN.

    Args:
        dim_in, dim: channels in and out.
        stride: spatial stride.
        share: see ``temporal_shift``.
        excite: with ``Excitation``.
    Shape:
        (B * T, dim_in, H, W) -> (B * T, dim, H / stride, W / stride), rounded up
    """

    def __init__(self, dim_in: int, dim: int, stride: int, share: int, excite: bool) -> None:
        super().__init__()
        self.share = share
        wide = int(2.25 * dim)
        self.expand = nn.Sequential(nn.Conv2d(dim_in, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU(inplace=True))
        self.look = nn.Sequential(nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide))
        self.excite = Excitation(wide) if excite else None
        norm = nn.BatchNorm2d(dim)
        nn.init.constant_(norm.weight, NEARLY_ZERO)
        self.project = nn.Sequential(nn.Conv2d(wide, dim, 1, bias=False), norm)
        self.skip: nn.Module = nn.Identity()
        if stride > 1 or dim_in != dim:
            self.skip = nn.Sequential(nn.Conv2d(dim_in, dim, 1, stride, bias=False), nn.BatchNorm2d(dim))

    def forward(self, x: Tensor, frames: int) -> Tensor:
        y = self.look(self.expand(temporal_shift(x, frames, self.share)))
        if self.excite is not None:
            y = self.excite(y, frames)
        return functional.relu(self.project(functional.silu(y)) + self.skip(x))


class Stage(nn.Module):
    """Blocks of one width; the first halves height and width, and every other one excites, the first among them.

    Shape:
        (B * T, dim_in, H, W) -> (B * T, dim, H / 2, W / 2), rounded up
    """

    def __init__(self, dim_in: int, dim: int, depth: int, share: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(dim if at else dim_in, dim, 1 if at else 2, share, excite=at % 2 == 0) for at in range(depth)
        )

    def forward(self, x: Tensor, frames: int) -> Tensor:
        for block in self.blocks:
            x = block(x, frames)
        return x


class XShiftNet(nn.Module):
    """Pictures of a clip to a grid of features per frame; time is never strided.

    The stem is a 3x3 convolution, BN and ReLU; after the stages come a 1x1 convolution, BN and ReLU.

    Args:
        channels: of a picture.
        arch: widths.
    Shape:
        (B, C, T, H, W) -> (B, dim, T, h, w), see ``ArchSpec.sides``
    """

    def __init__(self, channels: int, arch: ArchSpec) -> None:
        super().__init__()
        self.arch = arch
        self.stem = nn.Sequential(
            nn.Conv2d(channels, arch.widths[0], 3, arch.stem_stride, 1, bias=False),
            *(nn.BatchNorm2d(arch.widths[0]), nn.ReLU(inplace=True)),
        )
        before = (arch.widths[0], *arch.widths[:-1])
        self.stages = nn.ModuleList(
            Stage(dim_in, dim, depth, arch.share)
            for dim_in, dim, depth in zip(before, arch.widths, arch.depths, strict=True)
        )
        self.last = nn.Sequential(
            nn.Conv2d(arch.widths[-1], arch.dim, 1, bias=False), *(nn.BatchNorm2d(arch.dim), nn.ReLU(inplace=True))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        frames = x.shape[2]
        y = x.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        y = self.stem(y)
        for stage in self.stages:
            y = stage(y, frames)
        return self.last(y).unflatten(0, (-1, frames)).transpose(1, 2)


class PoseXShiftNet(Backbone[XShiftConfig]):
    """X-ShiftNet on heat-maps of the joints: one map per joint, as channels of a picture.

    EPAM-Net's pose stream. ``base`` has 0.53 M parameters and, on 48 frames of 17 joints, 3.4 G multiply-adds per
    person; no figure of this stream alone is printed. Its features are on a grid over the person's box, not on joints.

    Departs from print: one person per clip, see ``heat_maps``. Where somebody stands and how large they are is lost, as
    their box fills the picture.
    Departs from print: joints in space that no Kinect recorded are a mirror image of their video, unless ``mirrored``
    says otherwise; the network does not know where joints come from.
    Paper silent: masks. A hidden joint's map is empty.

    Args:
        config: a ``XShiftConfig``.
        layout: any skeleton.
        channels: C, 2 or 3 coordinates, and the score where the layout has one.
        num_frames: frames of a clip; the network itself takes any multiple of ``t_stride``.

    Raises:
        UserError: a stream that does not hold places of joints, such as distances between persons.

    Attributes:
        mirrored: see ``heat_maps``.
        grid_side: h = w of the grid; Vp is its square, row by row.
    """

    Config: ClassVar = XShiftConfig
    keeps_joints = False

    def __init__(self, config: XShiftConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        if (given := layout.coordinates(channels)) > 3:
            raise UserError(f"backbone: xshift draws joints at their 2 or 3 coordinates, not {given} distances")
        self.side, self.t_stride, arch = config.resolved
        self.sigma, self.padding, self.dim = config.sigma, config.padding, arch.dim
        self.mirrored = layout.coordinates(channels) == 3 if config.mirrored is None else config.mirrored
        self.net = XShiftNet(layout.num_joints, arch)
        self.grid_side = arch.sides(self.side)[-1]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        hidden = None if mask is None else hidden_frames(mask, x.shape[2])
        maps = heat_maps(
            x,
            hidden,
            self.side,
            mirrored=self.mirrored,
            stride=self.t_stride,
            sigma=self.sigma,
            padding=self.padding,
        )
        return self.net(maps).flatten(3)

    def stages(self) -> list[nn.Module]:
        return [self.net.stem, *self.net.stages, self.net.last]
