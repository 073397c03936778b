"""MAN: a memory of the motion weights its frames, then a convolutional network reads frames x joints as an image.

Xie et al., IJCAI 2018 (arXiv 1804.08254); code: memory-attention-networks/MANs, MANs_9.py.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.man import SIZES, MANConfig
from ssl_skel.backbones.layers import HiddenToken
from ssl_skel.backbones.recalibration.config import TARMConfig
from ssl_skel.backbones.recalibration.excitation import Grid
from ssl_skel.backbones.recalibration.tarm import TARM
from ssl_skel.layouts import SkeletonLayout


class Block(nn.Module):
    """Basic pre-activation residual block: twice norm, ReLU and a 3x3 convolution, added to the input.

    ResNet v2 (He et al., ECCV 2016), as in MANs_9.py: where the shape changes, the input passes a strided 1x1
    convolution before the norm. Departs from code: no biases on convolutions, which the norms undo.

    Args:
        dim_in, dim: channels in and out.
        stride: of both axes.
        normed: the input has just passed norm and ReLU: the first convolution takes it as it is.
    Shape:
        (B, dim_in, T, V) -> (B, dim, T / stride, ceil(V / stride))
    """

    def __init__(self, dim_in: int, dim: int, stride: int, normed: bool = False) -> None:
        super().__init__()
        self.enter = nn.Identity() if normed else nn.Sequential(nn.BatchNorm2d(dim_in), nn.ReLU())
        self.convs = nn.Sequential(
            *(nn.Conv2d(dim_in, dim, 3, stride, 1, bias=False), nn.BatchNorm2d(dim), nn.ReLU(inplace=True)),
            nn.Conv2d(dim, dim, 3, 1, 1, bias=False),
        )
        same = dim_in == dim and stride == 1
        self.skip = nn.Identity() if same else nn.Conv2d(dim_in, dim, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.convs(self.enter(x)) + self.skip(x)


class MAN(Backbone[MANConfig]):
    """Memory Attention Network: TARM, then STCM on the recalibrated coordinates, one image channel each.

    Xie et al., IJCAI 2018, Sec. 3. ``base`` is MANs-9 of the released code: stem 5x5 of stride 2, two blocks of 64
    and two of 128 channels, the third with stride 2. The best published figures are of a DenseNet-161 with
    ImageNet's weights in place of these blocks, which this toolkit does not have.

    Departs from print: each person is an image of its own (T x V), not both side by side (T x 2V); clips keep
    their length rather than 50 frames.
    Paper silent: masks. A hidden joint is a learned vector at the input; see ``HiddenToken``.

    Args:
        config: a ``MANConfig``.
        layout: any skeleton.
        channels: C.
        num_frames: T that the weights over frames are made for; at others they are interpolated.
    """

    Config: ClassVar = MANConfig
    keeps_joints = False
    t_stride = 4

    def __init__(self, config: MANConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        hidden, widths = SIZES[config.size]
        self.dim = widths[-1]
        self.hidden_token = HiddenToken(channels, layout.num_joints)
        grid = Grid(channels, num_frames, layout.num_joints)
        self.tarm = TARM(TARMConfig(hidden=hidden), grid)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, widths[0], 5, 2, 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        half = len(widths) // 2
        self.blocks = nn.ModuleList(
            Block(widths[max(at - 1, 0)], width, stride=2 if at == half else 1, normed=at == 0)
            for at, width in enumerate(widths)
        )
        self.leave = nn.Sequential(nn.BatchNorm2d(self.dim), nn.ReLU())
        for module in self.own_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        x = self.tarm(self.hidden_token(x, mask))
        for stage in (self.stem, *self.blocks, self.leave):
            x = stage(x)
        return x

    def stages(self) -> list[nn.Module]:
        return [nn.ModuleList([self.hidden_token, self.tarm]), self.stem, *self.blocks, self.leave]
