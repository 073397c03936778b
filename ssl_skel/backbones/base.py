"""The one contract that every network keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from ssl_skel.config import RowConfig
from ssl_skel.layout import SkeletonLayout


class Backbone(nn.Module, ABC):
    """A network from one person's joints to a grid of features.

    Construction is the same for all: ``Net(config, layout, channels, num_frames)``.

    Attributes:
        Config: frozen options; its ``name`` is the row in ``BACKBONES``.
        dim: D, channels out.
        t_stride: frames in per frame out; T must be a multiple of it.
        keeps_joints: Vp is V; otherwise the network merges joints.
    """

    Config: ClassVar[type[RowConfig]]
    dim: int
    t_stride: int
    keeps_joints: bool = True

    def __init__(self, config: RowConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__()
        self.config, self.layout = config, layout
        self.channels, self.num_frames = channels, num_frames

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Features of packed persons.

        Args:
            x: (B, C, T, V).
            mask: (B, T / u, V) bool, True = HIDDEN, u frames a unit. What is hidden must not
                influence the output.

        Returns:
            (B, D, Tp, Vp), Tp = T / t_stride.

        Raises:
            ValueError: T or V does not fit; see ``check_input``.
        """

    @abstractmethod
    def stages(self) -> list[nn.Module]:
        """Parts from input to output, for layer-wise learning-rate decay; together all parameters."""

    def check_input(self, x: Tensor, mask: Tensor | None) -> None:
        """Refuse a wrong shape with a sentence rather than a stack of shapes.

        Raises:
            ValueError: naming the axis and what was expected.
        """
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(f"x must be (B, {self.channels}, T, V), got {tuple(x.shape)}")
        frames, joints = x.shape[2:]
        if joints != self.layout.num_joints:
            raise ValueError(f"layout {self.layout.name} has {self.layout.num_joints} joints, x has {joints}")
        if frames == 0 or frames % self.t_stride:
            raise ValueError(f"T must be a multiple of {self.t_stride}, got {frames}")
        if mask is not None and (
            mask.ndim != 3 or mask.shape[0] != x.shape[0] or mask.shape[2] != joints or frames % mask.shape[1]
        ):
            raise ValueError(f"mask must be (B, T / u, V) for x {tuple(x.shape)}, got {tuple(mask.shape)}")
