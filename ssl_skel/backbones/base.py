"""The one contract that every network keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Generic

from torch import Tensor, nn
from typing_extensions import TypeVar

from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.backbones.layers import hidden_frames
from ssl_skel.backbones.recalibration import RECALIBRATIONS
from ssl_skel.backbones.recalibration.config import RecalibrationConfig
from ssl_skel.backbones.recalibration.excitation import Grid
from ssl_skel.layouts import SkeletonLayout

ConfigT = TypeVar("ConfigT", bound=BackboneConfig, covariant=True, default=BackboneConfig)


class Backbone(nn.Module, ABC, Generic[ConfigT]):
    """A network from one person's joints to a grid of features.

    Construction is the same for all: ``Net(config, layout, channels, num_frames)``.

    Any network can have a recalibration in front: its input, with hidden values as zeros, passes through that module
    before ``forward``.

    Attributes:
        Config: frozen options; its ``name`` is the entry in ``BACKBONES``.
        dim: D, channels out.
        t_stride: frames in per frame out; T must be a multiple of it.
        keeps_joints: Vp is V; otherwise the network merges joints.
        drops_hidden: cells of which something is hidden are left out of the computation, and zero in the grid.
    """

    Config: ClassVar[type[BackboneConfig]]
    config: ConfigT
    dim: int
    t_stride: int
    keeps_joints: bool = True
    drops_hidden: ClassVar[bool] = False

    def __init__(self, config: ConfigT, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__()
        self.config, self.layout = config, layout
        self.channels, self.num_frames = channels, num_frames
        self.recalibration = nn.ModuleList()  # one at most; saved encoders name its weights ``recalibration.0.``
        if config.recalibrate is not None:
            self._add_recalibration(config.recalibrate)

    def _add_recalibration(self, config: RecalibrationConfig) -> None:
        grid = Grid(self.channels, self.num_frames, self.layout.num_joints)
        self.recalibration.append(RECALIBRATIONS[config.name](config, grid))
        self.register_forward_pre_hook(_recalibrate_input, with_kwargs=True)

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Features of packed persons.

        Args:
            x: (B, C, T, V).
            mask: (B, T / u, V) bool, True = HIDDEN, u frames per unit. What is hidden must not influence the output.

        Returns:
            (B, D, Tp, Vp), Tp = T / t_stride.

        Raises:
            ValueError: T or V does not fit; see ``check_input``.
        """

    @abstractmethod
    def stages(self) -> list[nn.Module]:
        """Parts from input to output, for layer-wise learning-rate decay; all parameters but the recalibration's."""

    def final_norm(self) -> nn.Module | None:
        """A norm at the end of the last stage that learns at the head's rate under layer-wise decay; None: none."""
        return None

    def own_modules(self) -> Iterator[nn.Module]:
        """All modules but the recalibration, which initialises itself."""
        return (module for stage in self.stages() for module in stage.modules())

    def check_input(self, x: Tensor, mask: Tensor | None) -> None:
        """Refuse a wrong shape with a clear sentence.

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


def _recalibrate_input(net: Backbone, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Before ``forward``: recalibrate the input, hidden values as zeros, and pass the mask on."""

    def given(x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return x, mask

    x, mask = given(*args, **kwargs)
    net.check_input(x, mask)
    if mask is not None:
        x = x.masked_fill(hidden_frames(mask, x.shape[2])[:, None], 0.0)
    return (net.recalibration[0](x), mask), {}
