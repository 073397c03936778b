"""The one contract that every network keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from torch import Tensor, nn

from ssl_skel.backbones.layers import hidden_frames
from ssl_skel.backbones.recalibration import RECALIBRATIONS, Grid, RecalibrationConfig
from ssl_skel.config import RowConfig, RowOf
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout


class BackboneConfig(RowConfig):
    """What the options of every network share."""

    recalibrate: Annotated[RecalibrationConfig, RowOf(RECALIBRATIONS)] | None = None
    """A row of ``RECALIBRATIONS`` in front of the network, or of the stages named in its ``at``; None: none."""


class Backbone(nn.Module, ABC):
    """A network from one person's joints to a grid of features.

    Construction is the same for all: ``Net(config, layout, channels, num_frames)``.

    Any network can be recalibrated in front, where what it is given passes through the module, hidden values as
    zeros, before ``forward``; and between stages, where it sends what enters them through ``recalibrated``.

    Attributes:
        Config: frozen options; its ``name`` is the row in ``BACKBONES``.
        dim: D, channels out.
        t_stride: frames in per frame out; T must be a multiple of it.
        keeps_joints: Vp is V; otherwise the network merges joints.

    Raises:
        UserError: a recalibration at a stage that is not there.
    """

    Config: ClassVar[type[RowConfig]]
    dim: int
    t_stride: int
    keeps_joints: bool = True

    def __init__(self, config: RowConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__()
        self.config, self.layout = config, layout
        self.channels, self.num_frames = channels, num_frames
        self.recalibration = nn.ModuleDict()
        if isinstance(config, BackboneConfig) and config.recalibrate is not None:
            self._add_recalibration(config.recalibrate)

    def _add_recalibration(self, config: RecalibrationConfig) -> None:
        grids = [Grid(self.channels, self.num_frames, self.layout.num_joints, coordinates=True), *self.grids()]
        if max(config.at) >= len(grids):
            last = f"{self.config.name} can be recalibrated at 0 to {len(grids) - 1}"
            raise UserError(f"backbone.recalibrate.at: {max(config.at)}: {last}")
        for at in config.at:
            self.recalibration[str(at)] = RECALIBRATIONS[config.name](config, grids[at])
        if 0 in config.at:
            self.register_forward_pre_hook(_recalibrate_input, with_kwargs=True)

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
        """Parts from input to output, for layer-wise learning-rate decay; together all of the network's parameters."""

    def own_modules(self) -> Iterator[nn.Module]:
        """All modules but recalibrations, for a start of the network's own; those start as they say themselves."""
        return (module for stage in self.stages() for module in stage.modules())

    def all_stages(self) -> list[nn.Module]:
        """``stages``, each with the recalibration in front of it: together all parameters."""
        own = [str(number) for number in range(len(self.stages()))]
        return [
            nn.ModuleList([self.recalibration[at], stage]) if at in self.recalibration else stage
            for at, stage in zip(own, self.stages(), strict=True)
        ]

    def grids(self) -> list[Grid]:
        """What enters stages 1, 2, ... of a clip of ``num_frames``, and passes through ``recalibrated`` there.

        Called before the network is built; ``config``, ``layout``, ``channels`` and ``num_frames`` are there.
        """
        return []

    def recalibrated(self, at: int, grid: Tensor) -> Tensor:
        """What enters stage ``at``, (B, D, T, V), recalibrated where the config says so."""
        return self.recalibration[str(at)](grid) if str(at) in self.recalibration else grid

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


def _recalibrate_input(net: Backbone, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Ahead of ``forward``: the input recalibrated, what is hidden taken for zeros; the mask goes on as it is."""

    def given(x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return x, mask

    x, mask = given(*args, **kwargs)
    net.check_input(x, mask)
    if mask is not None:
        x = x.masked_fill(hidden_frames(mask, x.shape[2])[:, None], 0.0)
    return (net.recalibrated(0, x), mask), {}
